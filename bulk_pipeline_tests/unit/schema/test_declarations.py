"""A bad declaration fails when it is created, with a sentence."""

import re

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import (
    Column,
    ColumnType,
    ForeignKey,
    Generated,
    Identity,
    Key,
    Mode,
    Rule,
    Table,
    TableName,
    patterns,
)
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.schema.load_order import in_order, parents_among

ID = Column(name="id", type=ColumnType.UUID)
NAME = Column(name="name", required=True)


def rule(name: str, *columns: str) -> Rule:
    return Rule(name=name, columns=columns, passes=lambda rows: rows.notna().all(axis=1), message="no")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "column name '': use 1 to 63 bytes"),
        ({"name": "ä" * 32}, "use 1 to 63 bytes"),
        ({"name": "_row"}, "column name '_row' is reserved"),
        ({"name": "a", "generated": Generated.UUID}, "generated uuid is for uuid, not text"),
        (
            {"name": "a", "generated": Generated.DEFAULT, "identity": Identity.ALWAYS},
            "give generated or identity, not both",
        ),
        ({"name": "a", "type": ColumnType.BOOLEAN, "max_length": 3}, "are for text, not boolean"),
        ({"name": "a", "pattern": "x"}, "give pattern and pattern_name together"),
        ({"name": "a", "choices": ("b",), "default": "c"}, "default 'c' is not one of its choices"),
        ({"name": "a", "type": ColumnType.BOOLEAN, "default": "yes"}, "default 'yes' is not of type boolean"),
        ({"name": "a", "prefix": "a_"}, "prefix is for uuid, not text"),
    ],
)
def test_a_bad_column_is_refused_with_a_sentence(fields: dict, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Column(**fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"columns": (ID, NAME, NAME)}, "table t: column name is declared twice"),
        (
            {"columns": (NAME,), "primary_key": ("id",)},
            "table t: the primary key names id, which is not a column",
        ),
        (
            {"columns": (ID,), "unique_keys": (("id", "name"),)},
            r"table t: unique key \(id, name\) names name, which is not a column",
        ),
        ({"columns": (ID,), "unique_keys": ((),)}, r"table t: key \(\) must name at least one column"),
        (
            {"columns": (ID,), "unique_keys": (("id", "id"),)},
            r"table t: key \(id, id\) must name .* each once",
        ),
        (
            {"columns": (ID,), "primary_key": ("id",), "unique_keys": (("id",),)},
            r"table t: key \(id\) is declared twice",
        ),
        ({"columns": (ID,), "schema": "a b"}, "table a b.t: uploads cannot be in a folder of this name"),
        ({"columns": (ID,), "upload_name": "../t"}, "declare an upload_name of at most 100 ASCII letters"),
        ({"columns": (ID,), "touch": ("at",)}, "table t: touch names at, which is not a column"),
        (
            {
                "columns": (ID,),
                "foreign_keys": (ForeignKey(columns=("a_id",), table="a", references=("id",)),),
            },
            "a foreign key names a_id, which is not a column",
        ),
        ({"columns": (ID,), "rules": (rule("r", "b"),)}, "rule r names b, which is not a column"),
        ({"columns": (ID,), "rules": (rule("r", "id"), rule("r", "id"))}, "two rules have the same name"),
    ],
)
def test_a_bad_table_is_refused_with_a_sentence(fields: dict, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Table(name="t", **fields)


@pytest.mark.parametrize(
    ("columns", "references", "table", "sentence"),
    [
        ((), (), "a", "name as many columns on both sides, at least one"),
        (("a", "b"), ("id",), "a", r"foreign key \(a, b\) to a \(id\): name as many columns on both sides"),
        (
            ("a",),
            ("id",),
            "a.b.c",
            "table name 'a.b.c' is not understood: write it like orders or shop.orders",
        ),
        (("a",), ("id",), '"a', "table name '\"a' is not understood"),
    ],
)
def test_a_bad_foreign_key_is_refused_with_a_sentence(
    columns: tuple[str, ...], references: tuple[str, ...], table: str, sentence: str
) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        ForeignKey(columns=columns, table=table, references=references)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", TableName("public", "orders")),
        ("shop.orders", TableName("shop", "orders")),
        ("Shop Floor.Order Lines", TableName("Shop Floor", "Order Lines")),
        ('"my.shop"."or""ders"', TableName("my.shop", 'or"ders')),
        ('shop."a.b"', TableName("shop", "a.b")),
    ],
)
def test_a_table_name_reads_as_it_is_written(text: str, name: TableName) -> None:
    assert TableName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    ("fields", "mode", "required"),
    [
        ({"primary_key": ("id",)}, Mode.INSERT_ONLY, ("id", "name")),
        ({"primary_key": ("id",)}, Mode.UPSERT, ("id", "name")),
        ({"primary_key": ("at", "id")}, Mode.UPSERT, ("id", "name")),
        ({"unique_keys": (("id",),)}, Mode.UPSERT, ("name",)),
    ],
)
def test_a_primary_key_is_required_unless_its_value_is_made(
    fields: dict, mode: Mode, required: tuple[str, ...]
) -> None:
    at = Column(name="at", type=ColumnType.TIMESTAMP, generated=Generated.DEFAULT)

    assert Table(name="t", columns=(ID, NAME, at), **fields).required_columns(mode) == required


def test_only_a_text_may_be_blank() -> None:
    with pytest.raises(DeclarationError, match="column at: blank is for text, not date"):
        Column(name="at", type=parse("date"), required=True, blank=True)


def test_a_column_may_be_required_in_one_mode() -> None:
    made = Column(name="id", type=ColumnType.UUID, generated=Generated.UUID, required_in=(Mode.INSERT_ONLY,))
    table = Table(name="t", columns=(made, NAME), primary_key=("id",))

    assert table.required_columns(Mode.INSERT_ONLY) == ("id", "name")
    assert table.required_columns(Mode.UPSERT) == ("name",)


def test_keys_come_in_order_the_primary_key_first() -> None:
    nulls = Key(("id",), nulls_distinct=False)
    table = Table(name="t", columns=(ID, NAME), primary_key=("name", "id"), unique_keys=(("name",), nulls))

    assert table.keys == (Key(("name", "id")), Key(("name",)), nulls)
    assert table.key_columns == ("name", "id")


@pytest.mark.parametrize(
    ("fields", "upload_name"),
    [
        ({}, "t"),
        ({"schema": "shop"}, "shop.t"),
        ({"schema": "shop", "upload_name": "goods"}, "goods"),
    ],
)
def test_uploads_call_a_table_by_its_name_unless_declared(fields: dict, upload_name: str) -> None:
    assert Table(name="t", columns=(ID,), **fields).upload_name == upload_name


def test_a_table_goes_after_those_that_it_refers_to_and_those_that_it_names() -> None:
    columns = (Column(name="id"),)
    key = ForeignKey(columns=("id",), table="b", references=("id",))
    first = Table(name="a", columns=columns, foreign_keys=(key,), after=("c", "b", "a"))
    tables = [first, Table(name="b", columns=columns), Table(name="c", columns=columns)]
    assert (first.parents, first.predecessors) == (("b",), ("b", "c"))
    assert parents_among(first, tables) == ("b", "c")
    assert list(in_order(tables)) == ["b", "c", "a"]


def test_a_table_to_go_after_is_named_as_the_database_has_it() -> None:
    with pytest.raises(DeclarationError, match=r"table name 'a\.b\.c' is not understood"):
        Table(name="t", columns=(Column(name="id"),), after=("a.b.c",))


def _referring(name: str, *parents: str) -> Table:
    keys = (ForeignKey(columns=("id",), table=parent, references=("id",)) for parent in parents)
    return Table(name=name, columns=(ID,), schema="shop", upload_name=name, foreign_keys=tuple(keys))


def test_tables_come_after_those_they_refer_to_even_in_a_circle() -> None:
    lines, orders = _referring("lines", "shop.orders", "gone"), _referring("orders", "shop.a", "shop.orders")
    first, second = _referring("b", "shop.c"), _referring("c", "shop.b")
    tables = [lines, orders, _referring("a"), first, second]

    order = list(in_order(tables))
    assert [name for name in order if name in ("a", "orders", "lines")] == ["a", "orders", "lines"]
    assert [name for name in order if name in ("b", "c")] == ["b", "c"]
    assert parents_among(lines, tables) == ("orders",)


def test_a_circle_begins_with_the_table_whose_rows_need_no_reference_into_it() -> None:
    people = Table(
        name="people",
        columns=(Column(name="id"), Column(name="site", required=True)),
        foreign_keys=(ForeignKey(columns=("site",), table="sites", references=("id",)),),
    )
    sites = Table(
        name="sites",
        columns=(Column(name="id"), Column(name="chief")),
        foreign_keys=(ForeignKey(columns=("chief",), table="people", references=("id",)),),
    )
    assert list(in_order([people, sites])) == ["sites", "people"]


@pytest.mark.parametrize("pattern", ["(x", "(?=x)"])
def test_a_pattern_that_arrow_cannot_run_is_refused_with_a_sentence(pattern: str) -> None:
    table = Table(name="t", columns=(ID, Column(name="a", pattern=pattern, pattern_name="x")))
    with pytest.raises(
        DeclarationError, match=re.escape(f"table t: column a: pattern {pattern!r} is not an RE2")
    ):
        patterns.check(table)
