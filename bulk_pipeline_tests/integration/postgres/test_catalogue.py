"""The catalogue reader on a database as people have them."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline.postgres.catalogue import (
    CatalogueCheck,
    CatalogueForeignKey,
    CatalogueKey,
    CatalogueTable,
    CatalogueTrigger,
    RelationKind,
    TypeKind,
    all_tables,
    tables_named,
)
from bulk_pipeline_tests.rigs.databases import Databases

SHOP = (Path(__file__).parents[2] / "rigs" / "shop.sql").read_bytes()


@pytest.fixture(scope="module", params=["databases", "databases16"], ids=["postgres18", "postgres16"])
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    databases: Databases = request.getfixturevalue(request.param)
    with databases.blank() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SHOP)
        yield connection


@pytest.fixture
def shop(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that leaves nothing behind."""
    with connection.transaction(force_rollback=True):
        yield connection


def read(shop: psycopg.Connection, name: str, role: str | None = None) -> CatalogueTable:
    (table,) = tables_named(shop, [("shop", name)], role or shop.info.user)
    return table


def test_every_column_is_read_with_type_default_and_identity(shop: psycopg.Connection) -> None:
    table = read(shop, "customers")
    assert (table.kind, table.comment, table.is_partition) == (RelationKind.TABLE, "People who buy.", False)
    facts = {
        column.name: (column.type, column.kind, column.is_array, column.is_required, column.default)
        for column in table.columns
    }
    assert facts == {
        "id": ("bigint", TypeKind.BASE, False, True, None),
        "email": ("text", TypeKind.BASE, False, True, None),
        "name": ("character varying(80)", TypeKind.BASE, False, True, None),
        "mood": ("shop.mood", TypeKind.ENUM, False, True, "'ok'::shop.mood"),
        "moods": ("shop.mood[]", TypeKind.ENUM, True, False, None),
        "address": ("shop.place", TypeKind.COMPOSITE, False, False, None),
        "referrer": ("bigint", TypeKind.BASE, False, False, None),
    }
    columns = {column.name: column for column in table.columns}
    assert (columns["id"].identity, columns["id"].sequence) == ("by default", "shop.customers_id_seq")
    assert (columns["mood"].labels, columns["moods"].labels) == (("sad", "ok", "happy"),) * 2
    assert columns["email"].comment == "Where bills go."
    assert {column.lacks for column in table.columns} == {()}


def test_columns_that_the_database_computes_are_told_from_defaults(shop: psycopg.Connection) -> None:
    columns = {column.name: column for column in read(shop, "orders").columns}
    assert (columns["id"].identity, columns["id"].is_serial) == ("always", False)
    assert (columns["doubled"].generated, columns["doubled"].default) == ("(amount * (2)::numeric)", None)
    assert (columns["created_at"].default, columns["created_at"].is_required) == ("now()", True)
    (number, *_) = read(shop, "legacy").columns
    assert (number.is_serial, number.sequence, number.identity) == (True, "shop.legacy_id_seq", None)


def test_a_domain_of_a_domain_is_read_to_its_base(shop: psycopg.Connection) -> None:
    code = next(column for column in read(shop, "order_lines").columns if column.name == "code")
    assert (code.type, code.base_type, code.domain) == ("shop.must", "character varying(10)", "shop.must")
    assert (code.is_required, code.default) == (True, "'none'::character varying")


def test_keys_of_several_columns_and_their_nulls_are_read(shop: psycopg.Connection) -> None:
    assert read(shop, "order_lines").keys == (
        CatalogueKey("order_lines_pkey", ("order_id", "line_no"), True, False, True),
    )
    (key,) = read(shop, "shipments").keys
    assert (key.columns, key.is_primary, key.nulls_distinct) == (("carrier", "track_no"), False, False)
    legacy = read(shop, "legacy")
    assert [(key.columns, key.is_deferrable) for key in legacy.keys] == [(("id",), False), (("slot",), True)]
    assert [index.name for index in legacy.uniqueness] == ["legacy_current", "legacy_label"]
    (excluded,) = read(shop, "bookings").uniqueness
    assert excluded.definition == "EXCLUDE USING gist (during WITH &&)"


def test_foreign_keys_of_several_columns_and_to_itself_are_read(shop: psycopg.Connection) -> None:
    assert read(shop, "shipments").foreign_keys == (
        CatalogueForeignKey(
            "shipments_order_id_line_no_fkey",
            ("order_id", "line_no"),
            "shop",
            "order_lines",
            ("order_id", "line_no"),
            True,
        ),
    )
    (own,) = read(shop, "customers").foreign_keys
    assert (own.columns, own.table, own.references) == (("referrer",), "customers", ("id",))


def test_a_reference_to_a_partitioned_table_is_one_and_not_one_to_each_partition(
    shop: psycopg.Connection,
) -> None:
    shop.execute(
        "CREATE TABLE shop.regions (id integer PRIMARY KEY, upper integer REFERENCES shop.regions)"
        " PARTITION BY LIST (id);"
        "CREATE TABLE shop.region_1 PARTITION OF shop.regions FOR VALUES IN (1);"
        "CREATE TABLE shop.region_others PARTITION OF shop.regions DEFAULT;"
        "CREATE TABLE shop.towns (region integer REFERENCES shop.regions)"
    )
    for table in ("towns", "regions", "region_1"):
        assert [key.table for key in read(shop, table).foreign_keys] == ["regions"]


def test_foreign_keys_that_only_partitions_have_are_the_tables_if_all_have_them(
    shop: psycopg.Connection,
) -> None:
    shop.execute(
        "CREATE TABLE shop.payments (at date, spare text, customer bigint, order_id bigint, line_no smallint,"
        " FOREIGN KEY (order_id, line_no) REFERENCES shop.order_lines) PARTITION BY RANGE (at);"
        "CREATE TABLE shop.payments_1 (order_id bigint, line_no smallint, customer bigint, at date, spare text);"
        "ALTER TABLE shop.payments ATTACH PARTITION shop.payments_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
        "CREATE TABLE shop.payments_2 PARTITION OF shop.payments DEFAULT PARTITION BY LIST (customer);"
        "CREATE TABLE shop.payments_3 PARTITION OF shop.payments_2 DEFAULT;"
        "ALTER TABLE shop.payments_1 ADD FOREIGN KEY (customer) REFERENCES shop.customers;"
        "ALTER TABLE shop.payments_2 ADD FOREIGN KEY (customer) REFERENCES shop.customers;"
        "ALTER TABLE shop.payments_3 ADD FOREIGN KEY (order_id) REFERENCES shop.orders"
    )
    payments = read(shop, "payments")
    assert [(key.columns, key.table, key.references) for key in payments.foreign_keys] == [
        (("order_id", "line_no"), "order_lines", ("order_id", "line_no")),
        (("customer",), "customers", ("id",)),
    ]
    assert [(key.columns, key.table, key.references) for key in payments.partial_foreign_keys] == [
        (("order_id",), "orders", ("id",))
    ]
    assert read(shop, "orders").partial_foreign_keys == ()


def test_checks_triggers_and_rules_are_read(shop: psycopg.Connection) -> None:
    assert read(shop, "orders").checks[0] == CatalogueCheck(
        "not_negative", ("amount",), "CHECK (amount >= 0::numeric)"
    )
    watched = read(shop, "watched")
    assert (watched.triggers, watched.rules) == ((CatalogueTrigger("shout", True),), ("quiet",))


def test_all_tables_are_those_without_partitions_and_views(shop: psycopg.Connection) -> None:
    names = [table.name for table in all_tables(shop, shop.info.user, schema="shop")]
    assert names == sorted(names)
    assert {*names} == {
        *(
            "customers",
            "orders",
            "order_lines",
            "shipments",
            "legacy",
            "bookings",
            "events",
            "guarded",
            "watched",
            "words",
        ),
        'Odd "Name',
    }
    assert [(table.schema, table.name) for table in all_tables(shop, shop.info.user)] == [
        ("shop", name) for name in names
    ]
    kinds = {name: read(shop, name).kind for name in ("events", "open_orders")}
    assert kinds == {"events": RelationKind.PARTITIONED, "open_orders": RelationKind.VIEW}
    assert read(shop, "events_2026").is_partition


def test_names_are_read_as_they_are_written(shop: psycopg.Connection) -> None:
    odd = read(shop, 'Odd "Name')
    assert [column.name for column in odd.columns] == ["Key Col", "x.y"]
    assert odd.keys[0].columns == ("Key Col",)


def test_rights_that_a_role_lacks_are_named(shop: psycopg.Connection) -> None:
    role = f"role_{uuid4().hex[:12]}"
    with shop.transaction():
        shop.execute(f"CREATE ROLE {role}".encode())
        orders = read(shop, "orders", role)
        assert (orders.lacks, orders.lacks_usage) == (("SELECT", "INSERT", "UPDATE"), True)
        shop.execute(f"GRANT USAGE ON SCHEMA shop TO {role}".encode())
        shop.execute(f"GRANT SELECT, INSERT ON shop.orders TO {role}".encode())
        shop.execute(f"GRANT UPDATE (amount) ON shop.orders TO {role}".encode())
        orders = read(shop, "orders", role)
        assert (orders.lacks, orders.lacks_usage) == (("UPDATE",), False)
        assert {column.name: column.lacks for column in orders.columns}["amount"] == ()
        assert not orders.foreign_keys[0].may_select
        assert not read(shop, "customers", role).columns[0].may_set_sequence
        guarded = read(shop, "guarded", role)
        assert (guarded.has_policies, guarded.bars_inserts) == (True, False)
        shop.execute("ALTER POLICY own ON shop.guarded TO CURRENT_USER")
        assert read(shop, "guarded", role).bars_inserts
        guarded = read(shop, "guarded")
        assert (guarded.has_policies, guarded.bars_inserts) == (False, False)


def test_a_table_that_does_not_exist_is_named_with_those_that_are_alike(shop: psycopg.Connection) -> None:
    with pytest.raises(UnknownTableError, match=r"no table public\.Order: did you mean shop\.orders\?"):
        tables_named(shop, [("public", "Order")], "postgres")
