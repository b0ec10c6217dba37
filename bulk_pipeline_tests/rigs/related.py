"""Tables as people have them, for samples: numbers as ids, composite keys and references, enums, every type."""

from typing import TYPE_CHECKING

from bulk_pipeline.schema import (
    Column,
    ColumnType,
    ForeignKey,
    Generated,
    Identity,
    Key,
    Rule,
    Table,
    column_type,
)
from bulk_pipeline_tests.rigs import shop

if TYPE_CHECKING:
    import pandas as pd

_SCHEMA = "related"
TYPES = (
    f"CREATE SCHEMA {_SCHEMA}; CREATE TYPE {_SCHEMA}.mood AS ENUM ('sad', 'ok', 'very happy'); "
    f"CREATE TYPE {_SCHEMA}.place AS (street text, number integer)"
)


def column(name: str, type_: str = "text", **declared: object) -> Column:
    return Column(name=name, type=column_type.parse(type_), **declared)  # pyright: ignore[reportArgumentType]


def table(name: str, *columns: Column, **declared: object) -> Table:
    return Table(schema=_SCHEMA, name=name, columns=columns, **declared)  # pyright: ignore[reportArgumentType]


def refers(columns: str, parent: str, references: str) -> ForeignKey:
    return ForeignKey(
        columns=tuple(columns.split()), table=f"{_SCHEMA}.{parent}", references=tuple(references.split())
    )


def _paid_has_date(rows: "pd.DataFrame") -> "pd.Series":
    return (rows["state"] != "paid") | rows["paid_on"].notna()  # pyright: ignore[reportReturnType]  # stubs: a column may be a frame


PEOPLE = table(
    "people",
    column("id", "bigint", identity=Identity.BY_DEFAULT),
    column("email", required=True, pattern=r"\S+@\S+", pattern_name="an address"),
    column("name", "character varying(20)", required=True),
    column("city", "character varying(4)"),
    column("status", "smallint", required=True),
    column("mood", f"{_SCHEMA}.mood", required=True, choices=("sad", "ok", "very happy")),
    column("address", f"{_SCHEMA}.place"),
    column("referrer", "bigint"),
    primary_key=("id",),
    unique_keys=(("email",),),
    foreign_keys=(refers("referrer", "people", "id"),),
)
ORDERS = table(
    "orders",
    column("id", "integer", identity=Identity.ALWAYS),
    column(
        "order_no",
        "character(8)",
        required=True,
        pattern=r"[A-Z]-\d{4,6}",
        pattern_name="a number like A-1234",
    ),
    column("person", "bigint", required=True),
    column("amount", "numeric(12,2)", required=True),
    column("state", required=True, choices=("open", "paid")),
    column("paid_on", "date"),
    column("meta", "jsonb"),
    column("made_at", "timestamp with time zone", generated=Generated.DEFAULT),
    primary_key=("id",),
    unique_keys=(("order_no",),),
    foreign_keys=(refers("person", "people", "id"),),
    rules=(
        Rule(
            name="paid_has_date",
            columns=("state", "paid_on"),
            passes=_paid_has_date,
            message="an order that is paid has a date",
        ),
    ),
)
LINES = table(
    "lines",
    column("order_id", "integer", required=True),
    column("line_no", "smallint", required=True),
    column("note", max_length=30, max_words=2),
    column("price", "numeric(6,3)"),
    primary_key=("order_id", "line_no"),
    foreign_keys=(refers("order_id", "orders", "id"),),
)
SHIPMENTS = table(
    "shipments",
    column("order_id", "integer"),
    column("line_no", "smallint"),
    column("carrier", required=True, choices=("rail", "road", "sea")),
    column("track_no", "integer"),
    foreign_keys=(
        refers("order_id line_no", "lines", "order_id line_no"),
        refers("order_id", "orders", "id"),
    ),
    unique_keys=(Key(("carrier", "track_no"), nulls_distinct=False),),
)
PROFILES = table(
    "profiles",
    column("person", "bigint", required=True),
    column("motto", required=True),
    primary_key=("person",),
    foreign_keys=(refers("person", "people", "id"),),
)
TAGS = table(
    "tags",
    column("order_id", "integer", required=True),
    column("person", "bigint", required=True),
    primary_key=("person", "order_id"),
    foreign_keys=(refers("person", "people", "id"), refers("order_id", "orders", "id")),
)
PARTS = table(
    "parts",
    column("code", "uuid", required=True),
    column("made_at", "timestamp(3) without time zone", required=True),
    column("whole", "uuid", required=True),
    column('an "odd", name'),
    primary_key=("code",),
    unique_keys=(("made_at",),),
    foreign_keys=(refers("whole", "parts", "code"),),
)
_UNINSTALLED = {"xml"}  # which the embedded Postgres does not have
EVERY_TYPE = table(
    "every_type",
    column("id", "uuid", required=True),
    *(
        column(f"c{number}", str(type_))
        for number, type_ in enumerate(column_type.examples())
        if str(type_) not in (*_UNINSTALLED, "citext")
    ),
    column("b64", "bytea", base64=True),
    primary_key=("id",),
)
RELATED = (PEOPLE, ORDERS, LINES, SHIPMENTS, PROFILES, TAGS, PARTS, EVERY_TYPE)
"""Parents before children."""
KEY_TYPES = tuple(
    table(f"by_{number}", column("key", str(type_), required=True), column("name"), primary_key=("key",))
    for number, type_ in enumerate(column_type.examples())
    if not (
        type_.facts.is_opaque
        or type_.facts.is_array
        or type_ in (ColumnType.BOOLEAN, column_type.parse("json"))
    )
)
"""A table for each type that can be a key."""


def create_all() -> str:
    """The statements that create the related tables."""
    return "; ".join([TYPES, *map(shop.create, RELATED)])
