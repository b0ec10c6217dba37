"""Tables with keys of every shape, in a schema of their own: what others have and the seeds' tables have not."""

from bulk_pipeline.schema import Column, ColumnType, ForeignKey, Generated, Identity, Key, Table
from bulk_pipeline.schema.column_type import parse

SCHEMA = "shop"


def table(name: str, *columns: Column, **declared: object) -> Table:
    """A table of the schema."""
    return Table(schema=SCHEMA, name=name, columns=columns, **declared)  # pyright: ignore[reportArgumentType]


def text(name: str, **declared: object) -> Column:
    return Column(name=name, **declared)  # pyright: ignore[reportArgumentType]


def time(name: str, **declared: object) -> Column:
    return Column(name=name, type=ColumnType.TIMESTAMP, **declared)  # pyright: ignore[reportArgumentType]


def typed(name: str, type_: str, **declared: object) -> Column:
    return Column(name=name, type=parse(type_), **declared)  # pyright: ignore[reportArgumentType]


def create(declared: Table) -> str:
    """The statement that creates a table, with its keys and foreign keys."""
    lines = [_column(declared, column) for column in declared.columns]
    lines += [f"PRIMARY KEY ({_names(declared.primary_key)})"] if declared.primary_key else []
    for key in declared.further_keys:
        nulls = "" if key.nulls_distinct else " NULLS NOT DISTINCT"
        lines.append(f"UNIQUE{nulls} ({_names(key.columns)})")
    for foreign in declared.foreign_keys:
        parent = f"{_quoted(foreign.parent.schema)}.{_quoted(foreign.parent.name)}"
        lines.append(
            f"FOREIGN KEY ({_names(foreign.columns)}) REFERENCES {parent} ({_names(foreign.references)})"
        )
    return f"CREATE TABLE {qualified(declared)} ({', '.join(lines)})"


def qualified(declared: Table) -> str:
    """The table's name in a statement."""
    return f"{_quoted(declared.schema)}.{_quoted(declared.name)}"


def _column(declared: Table, column: Column) -> str:
    default = {None: "", Generated.UUID: "", Generated.DEFAULT: _DEFAULTS.get(str(column.type), "")}
    required = " NOT NULL" if column.required else ""
    identity = f" GENERATED {column.identity} AS IDENTITY" if column.identity else ""
    return f"{_quoted(column.name)} {column.type}{required}{default[column.generated]}{identity}"


_DEFAULTS = {"uuid": " DEFAULT gen_random_uuid()", "timestamp with time zone": " DEFAULT now()"}


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


_ID = Column(name="id", type=ColumnType.UUID, generated=Generated.UUID)

SHAPES = {
    "a text": table("texts", text("code"), text("name"), primary_key=("code",)),
    "a time": table("times", time("at"), text("name"), primary_key=("at",)),
    "two columns": table("lines", text("a"), time("at"), text("name"), primary_key=("a", "at")),
    "three columns": table(
        "seats",
        text("a"),
        Column(name="is_left", type=ColumnType.BOOLEAN),
        text("c"),
        text("name"),
        primary_key=("a", "is_left", "c"),
    ),
    "an id and two keys": table(
        "goods",
        _ID,
        text("a"),
        text("b"),
        text("c"),
        text("name"),
        primary_key=("id",),
        unique_keys=(("a",), ("b", "c")),
    ),
    "no primary key": table("codes", text("a"), text("b"), text("name"), unique_keys=(("a",), ("b",))),
    "equal NULLs": table(
        "places", text("a"), text("b"), text("name"), unique_keys=(Key(("a", "b"), nulls_distinct=False),)
    ),
    "equal NULLs beside others": table(
        "rooms",
        text("a"),
        text("b"),
        text("c"),
        text("name"),
        primary_key=("c",),
        unique_keys=(Key(("a",), nulls_distinct=False), ("b",)),
    ),
    "a key within a key": table(
        "parts",
        text("a"),
        text("b"),
        text("c"),
        text("name"),
        primary_key=("a", "b"),
        unique_keys=(("b", "c"),),
    ),
    "a whole number": table("boxes", typed("no", "integer"), text("name"), primary_key=("no",)),
    "an exact number": table(
        "rates",
        typed("rate", "numeric"),
        typed("cap", "numeric(4,2)"),
        text("name"),
        primary_key=("rate",),
        unique_keys=(("cap",),),
    ),
    "a date and a number": table(
        "shifts", typed("day", "date"), typed("no", "smallint"), text("name"), primary_key=("day", "no")
    ),
    "a number that the database makes": table(
        "tickets",
        typed("no", "bigint", identity=Identity.BY_DEFAULT),
        typed("day", "date"),
        time("at"),
        text("name"),
        primary_key=("no",),
        unique_keys=(Key(("day",), nulls_distinct=False), ("at",)),
    ),
    "odd names": Table(
        schema="Odd Shop",
        name='The "Goods"',
        upload_name="odd",
        columns=(text("Order No."), text('say "x"'), text("name"), text("50%"), text("select")),
        primary_key=("Order No.", 'say "x"'),
        unique_keys=(("50%",),),
    ),
}
"""Tables by what their keys are."""

ORDERS = table(
    "orders", text("no"), text("region"), text("note"), primary_key=("no", "region"), unique_keys=(("note",),)
)
ORDER_LINES = table(
    "order_lines",
    text("order_no"),
    text("order_region"),
    text("line"),
    text("order_note"),
    primary_key=("order_no", "order_region", "line"),
    foreign_keys=(
        ForeignKey(columns=("order_no", "order_region"), table="shop.orders", references=("no", "region")),
        ForeignKey(columns=("order_note",), table="shop.orders", references=("note",)),
    ),
)
STAFF = table(
    "staff",
    text("name"),
    text("boss"),
    text("room"),
    primary_key=("name",),
    foreign_keys=(ForeignKey(columns=("boss",), table="shop.staff", references=("name",)),),
)
LOG = table("log", time("at"), text("what"))

EVERY = (*SHAPES.values(), ORDERS, ORDER_LINES, STAFF, LOG)


def create_all() -> str:
    """The statements that create all of them."""
    schemas = dict.fromkeys(declared.schema for declared in EVERY)
    return "; ".join([*(f'CREATE SCHEMA "{name}"' for name in schemas), *map(create, EVERY)])
