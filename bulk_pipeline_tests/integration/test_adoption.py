"""`adopt`: declarations of tables as people have them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from bulk_pipeline.pipeline.adoption import Adoption, adopt
from bulk_pipeline.postgres.catalogue import all_tables, tables_named
from bulk_pipeline.postgres.drift import drift
from bulk_pipeline.schema.table_files import read_table
from bulk_pipeline.tables import TableRegistry
from bulk_pipeline_tests.rigs.command_here import run_here
from bulk_pipeline_tests.rigs.databases import Databases

SHOP = (Path(__file__).parents[1] / "rigs" / "shop.sql").read_bytes()
HEAD = "# yaml-language-server: $schema=../table.schema.json\nschema: shop\n"


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    with databases.blank() as url:
        with psycopg.connect(url) as connection:
            connection.execute(SHOP)
        yield url


@pytest.fixture
def shop(url: str) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that leaves nothing behind."""
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    return tmp_path


def adopted(shop: psycopg.Connection, name: str, role: str | None = None) -> Adoption:
    role = role or shop.info.user
    (table,) = tables_named(shop, [("shop", name)], role)
    return adopt(table, role)


def reasons(adoption: Adoption) -> dict[str, str]:
    return {note.column: "; ".join(note.reasons) for note in adoption.notes}


def test_keys_types_and_what_the_database_makes_are_declared(shop: psycopg.Connection) -> None:
    orders = adopted(shop, "orders")
    assert orders.text == HEAD + (
        "name: orders\n"
        "columns:\n"
        "  id: {type: bigint, identity: always}\n"
        "  order_no: {type: character(8), required: true, blank: true}\n"
        "  customer_id: {type: bigint, required: true}\n"
        '  amount: {type: "numeric(12,2)", minimum: 0}\n'
        "  doubled: {type: numeric, generated: always}\n"
        "  state: {type: text, generated: default, choices: [open, paid, sent]}\n"
        "  ordered_on: {type: date}\n"
        "  note: {type: text, max_length: 200}\n"
        '  tags: {type: "text[]", null_elements: true}\n'
        "  meta: {type: jsonb}\n"
        "  created_at: {type: timestamp with time zone, generated: default}\n"
        "primary_key: [id]\n"
        "unique_keys:\n"
        "  - [order_no]\n"
        "foreign_keys:\n"
        "  - {columns: [customer_id], table: shop.customers, references: [id]}\n"
    )
    assert reasons(orders) == {
        "id": "numbered by a sequence, which is moved behind the numbers that files bring",
        "order_no": "NOT NULL, without a default; an empty text is a value",
        "customer_id": "NOT NULL, without a default",
        "amount": "a CHECK limits the range",
        "doubled": "computed by the database, (amount * (2)::numeric): values of files are ignored",
        "state": "an empty cell gets the default, 'open'::text; a CHECK lists the values",
        "ordered_on": "",
        "note": "a CHECK limits the length",
        "tags": "its elements may be NULL",
        "meta": "",
        "created_at": "an empty cell gets the default, now()",
    }
    assert orders.warnings == ()


@pytest.mark.parametrize(
    ("type_", "check", "declared"),
    [
        ("integer", "c > 0", {"above": 0}),
        ("smallint", "c BETWEEN -5 AND 5", {"minimum": -5, "maximum": 5}),
        ("bigint", "c < 5000000000", {"below": 5_000_000_000}),
        ("numeric", "c >= 0 AND c <= 9.5", {"minimum": 0, "maximum": Decimal("9.5")}),
        ("numeric(4,2)", "c > -0.5", {"above": Decimal("-0.5")}),
        ("real", "c >= 0.1", {"minimum": Decimal("0.1")}),
        ("double precision", "c >= -1", {"minimum": -1}),
        ("date", "c >= '2020-01-31'", {"minimum": "2020-01-31"}),
        ("timestamp", "c < '2030-01-01'", {"below": "2030-01-01 00:00:00"}),
        ("timestamptz", "c >= '2020-01-01 00:00+00'", {"minimum": "2020-01-01 00:00:00+00"}),
        ("integer", "c IS NULL OR c > 0 AND c < 9", {"above": 0, "below": 9}),
        ("text", "c IS NULL OR c IN ('a', 'b')", {"choices": ["a", "b"]}),
        ("text", "c IS NULL OR length(c) <= 3", {"max_length": 3}),
        ("text", "c IS NULL OR c ~ '^[A-Z]+$'", {"pattern": "[A-Z]+"}),
        ("text", "c ~ '^[A-Z]{2}-(x|yz)+$'", {"pattern": "[A-Z]{2}-(x|yz)+"}),
        ("varchar(9)", "c ~ '^[0-9]+$'", {"pattern": "[0-9]+"}),
    ],
)
def test_a_check_that_a_declaration_can_say_is_declared(
    shop: psycopg.Connection, type_: str, check: str, declared: dict[str, Any]
) -> None:
    shop.execute(f"CREATE TABLE shop.checked (c {type_}, CHECK ({check}))".encode())
    checked = adopted(shop, "checked")
    column = {k: v for k, v in checked.content["columns"]["c"].items() if k not in ("type", "pattern_name")}
    assert column == declared
    assert not any("checked by the database" in warning for warning in checked.warnings)


@pytest.mark.parametrize(
    ("type_", "check"),
    [
        ("integer", "c > 0.5"),
        ("integer", "c > 0 OR c = -1"),
        ("integer", "c IS NULL OR c > 0 OR c = -1"),
        ("integer", "c IS NOT NULL OR c > 0"),
        ("integer", "c > 0 AND c > 1"),
        ("integer", "c > 5 AND c < 0"),
        ("numeric(5,2)", "c > 0.001"),
        ("real", "c < 'infinity'"),
        ("date", "c <= current_date"),
        ("text", "c > 'a'"),
        ("text", "c ~ '[A-Z]'"),
        ("text", "c ~ '^a|b$'"),
        ("text", r"c ~ '^\d+$'"),
        ("text", "c ~ '^[^,]+$'"),
        ("text", "c ~* '^a$'"),
        ("text", "c ~ '^.+$'"),
    ],
)
def test_a_check_that_would_mean_something_else_is_left_to_the_database(
    shop: psycopg.Connection, type_: str, check: str
) -> None:
    shop.execute(f"CREATE TABLE shop.checked (c {type_}, CHECK ({check}))".encode())
    checked = adopted(shop, "checked")
    assert checked.content["columns"]["c"].keys() == {"type"}
    assert any("checked_c_check is checked by the database alone" in warning for warning in checked.warnings)


def test_what_is_declared_is_what_the_database_has(shop: psycopg.Connection) -> None:
    adoptions = [adopt(table, shop.info.user) for table in all_tables(shop, shop.info.user, schema="shop")]
    declared = [read_table(one.text, one.upload_name) for one in adoptions if one.text is not None]
    assert len(declared) == 11
    assert drift(shop, declared) == []


def test_enums_composites_and_references_to_the_table_itself_are_declared(shop: psycopg.Connection) -> None:
    assert adopted(shop, "customers").text == HEAD + (
        "name: customers\n"
        "description: People who buy.\n"
        "columns:\n"
        "  id: {type: bigint, identity: by default}\n"
        "  email: {type: text, required: true, blank: true}\n"
        "  name: {type: character varying(80), required: true, blank: true}\n"
        "  mood: {type: shop.mood, generated: default, choices: [sad, ok, happy]}\n"
        '  moods: {type: "shop.mood[]", null_elements: true}\n'
        "  address: {type: shop.place}\n"
        "  referrer: {type: bigint}\n"
        "primary_key: [id]\n"
        "unique_keys:\n"
        "  - [email]\n"
        "foreign_keys:\n"
        "  - {columns: [referrer], table: shop.customers, references: [id]}\n"
    )


def test_keys_of_several_columns_and_their_nulls_are_declared(shop: psycopg.Connection) -> None:
    lines, shipments = adopted(shop, "order_lines").text, adopted(shop, "shipments").text
    assert lines is not None
    assert shipments is not None
    assert "primary_key: [order_id, line_no]\n" in lines
    assert "  - {columns: [carrier, track_no], nulls_distinct: false}\n" in shipments
    assert (
        "  - {columns: [order_id, line_no], table: shop.order_lines, references: [order_id, line_no]}\n"
        in shipments
    )


def test_a_table_goes_after_those_that_only_some_partitions_refer_to(shop: psycopg.Connection) -> None:
    shop.execute(
        "ALTER TABLE shop.events ADD by bigint; CREATE TABLE shop.events_0 PARTITION OF shop.events DEFAULT;"
        "ALTER TABLE shop.events_0 ADD FOREIGN KEY (by) REFERENCES shop.customers"
    )
    events = adopted(shop, "events")
    assert events.text is not None
    assert events.text.endswith("  by: {type: bigint}\nafter: [shop.customers]\n")
    assert events.warnings[-1] == (
        "the database checks in some partitions alone that by refers to shop.customers, whose files go first"
    )
    shop.execute("ALTER TABLE shop.events_2026 ADD FOREIGN KEY (by) REFERENCES shop.customers")
    everywhere = adopted(shop, "events").text
    assert everywhere is not None
    assert everywhere.endswith(
        "foreign_keys:\n  - {columns: [by], table: shop.customers, references: [id]}\n"
    )
    assert drift(shop, [read_table(everywhere, "events.yaml")]) == []


def test_arrays_of_domains_domains_over_arrays_and_all_dimensions_are_declared(
    shop: psycopg.Connection,
) -> None:
    shop.execute(
        "CREATE DOMAIN shop.codes AS text[] CHECK (array_length(VALUE, 1) < 9);"
        'CREATE TABLE shop.lists (codes shop.code[], all_codes shop.codes, grid numeric(6, 2)[][], kind "char")'
    )
    lists = adopted(shop, "lists").text
    assert lists == HEAD + (
        "name: lists\n"
        "columns:\n"
        '  codes: {type: "shop.code[]", null_elements: true}\n'
        "  all_codes: {type: shop.codes}\n"
        '  grid: {type: "numeric(6,2)[][]", null_elements: true}\n'
        '  kind: {type: "\\"char\\""}\n'
    )
    assert drift(shop, [read_table(lists, "lists.yaml")]) == []


def test_what_the_database_does_besides_is_said(shop: psycopg.Connection) -> None:
    assert adopted(shop, "watched").warnings == (
        "the trigger shout may change or refuse rows; counts are what the database says it did",
        "the rule quiet does not apply to rows that are inserted: COPY skips rules",
    )
    assert adopted(shop, "legacy").warnings[-1] == (
        "legacy_slot_key is deferrable: rows are inserted and updated without ON CONFLICT, which is slower"
    )
    assert adopted(shop, "bookings").warnings == (
        "no key: insert_only takes every row without looking for duplicates, and upsert is not possible",
        "bookings_during_excl is checked by the database alone: EXCLUDE USING gist (during WITH &&)",
    )
    assert (
        adopted(shop, "events_2026")
        .warnings[-1]
        .startswith("a partition: adopt the partitioned table instead")
    )


def test_a_table_of_an_odd_name_gets_a_name_for_uploads(shop: psycopg.Connection) -> None:
    odd = adopted(shop, 'Odd "Name')
    assert odd.text is not None
    assert 'name: "Odd \\"Name"\nupload_name: shop._Odd_Name\n' in odd.text


def test_a_view_and_a_table_that_no_policy_opens_are_not_adopted(shop: psycopg.Connection) -> None:
    role = f"role_{uuid4().hex[:12]}"
    shop.execute(f"CREATE ROLE {role}".encode())
    view, guarded = adopted(shop, "open_orders"), adopted(shop, "guarded", role)
    assert (view.text, view.problem) == (None, "it is a view: adopt the tables that it selects from")
    assert guarded.problem is None
    assert (
        "row-level security applies: rows that a policy refuses are rejected, rows that it hides are not seen, and "
        "exports are refused until export_visible_rows: true is declared" in guarded.warnings
    )
    shop.execute("ALTER POLICY own ON shop.guarded TO CURRENT_USER")
    guarded = adopted(shop, "guarded", role)
    assert (guarded.text, guarded.problem) == (
        None,
        f"row-level security applies to {role}, and no policy lets it insert rows: create a policy FOR INSERT, or let "
        f"the owner or a role with BYPASSRLS load (ALTER ROLE {role} BYPASSRLS)",
    )


def test_the_rights_that_the_role_lacks_are_granted_by_statements_that_run(shop: psycopg.Connection) -> None:
    role = f"role_{uuid4().hex[:12]}"
    shop.execute(f"CREATE ROLE {role}".encode())
    grants = adopted(shop, "orders", role).grants
    assert grants == (
        f'GRANT USAGE ON SCHEMA "shop" TO "{role}";',
        f'GRANT SELECT, INSERT, UPDATE ON "shop"."orders" TO "{role}";',
        f'GRANT USAGE, UPDATE ON SEQUENCE shop.orders_id_seq TO "{role}";',
        f'GRANT SELECT ON "shop"."customers" TO "{role}";',
    )
    for statement in grants:
        shop.execute(statement.encode())
    assert adopted(shop, "orders", role).grants == ()


def test_the_command_writes_files_that_are_served_and_keeps_those_that_exist(url: str, project: Path) -> None:
    environ = {"DATABASE_URL": url, "BULK_PROJECT": str(project), "BULK_HOME": str(project / ".bulk")}
    done = run_here(environ, "adopt", "--all", "--schema", "shop")
    assert (done.returncode, done.stderr) == (0, b"")
    registry = TableRegistry(project, list)
    assert registry.problems() == ()
    assert set(registry.names()) >= {"shop.orders", "shop.order_lines", "shop._Odd_Name"}
    orders = project / "tables" / "shop.orders.yaml"
    orders.write_text(orders.read_text().replace("  note:", "  # mine\n  note:"))
    again = run_here(environ, "adopt", "orders", "shop.nothing")
    assert again.returncode == 1
    assert b"the database has no table public.orders: did you mean shop.orders?" in again.stderr
    kept = run_here(environ, "adopt", "orders", "--schema", "shop")
    assert (kept.returncode, b"shop.orders: kept " in kept.stdout) == (0, True)
    assert "# mine" in orders.read_text()
    assert run_here(environ, "adopt", "shop.open_orders").returncode == 1


def test_a_changed_table_is_followed_and_what_was_written_by_hand_stays(
    databases: Databases, project: Path
) -> None:
    with databases.blank() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE items (id uuid PRIMARY KEY, name text, old date)")
        environ = {"DATABASE_URL": url, "BULK_PROJECT": str(project), "BULK_HOME": str(project / ".bulk")}
        assert run_here(environ, "adopt", "items").returncode == 0
        file = project / "tables" / "items.yaml"
        file.write_text(
            file.read_text().replace("{type: text}", "{type: text, choices: [a, b]}  # agreed in May")
        )
        assert b"follows the table" in run_here(environ, "adopt", "items", "--update").stdout
        connection.execute("ALTER TABLE items DROP old, ADD price numeric(8, 2) NOT NULL DEFAULT 0")
        done = run_here(environ, "adopt", "items", "--update")
    assert done.stdout.decode().splitlines()[1:] == [
        "  column old is gone",
        "  column price is new, numeric(8,2)",
    ]
    assert file.read_text() == (
        "# yaml-language-server: $schema=../table.schema.json\n"
        "name: items\n"
        "columns:\n"
        "  id: {type: uuid, required: true}\n"
        "  name: {type: text, choices: [a, b]}  # agreed in May\n"
        '  price: {type: "numeric(8,2)", generated: default}\n'
        "primary_key: [id]\n"
    )


def test_what_an_update_leaves_wrong_is_said(databases: Databases, project: Path) -> None:
    with databases.blank() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE items (id integer PRIMARY KEY, sku text UNIQUE)")
        environ = {"DATABASE_URL": url, "BULK_PROJECT": str(project), "BULK_HOME": str(project / ".bulk")}
        assert run_here(environ, "adopt", "items").returncode == 0
        connection.execute("ALTER TABLE items DROP sku")
        done = run_here(environ, "adopt", "items", "--update")
    assert done.stdout.decode().splitlines()[1:] == [
        "  column sku is gone",
        "  correct the rest by hand: items.yaml, line 7: unique_keys: 'sku' is not a column of this table: expected one "
        "of id",
    ]


def test_without_a_project_nothing_is_written(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url, "BULK_PROJECT": "none", "BULK_HOME": str(tmp_path / ".bulk")}
    done = run_here(environ, "adopt", "shop.orders")
    assert (
        done.returncode,
        b"there is no project here: create one with bulk-pipeline init" in done.stderr,
    ) == (1, True)


class CountingConnection(psycopg.Connection):
    """A connection that counts its statements."""

    count = 0

    def execute(self, *arguments: Any, **options: Any) -> psycopg.Cursor:
        self.count += 1
        return super().execute(*arguments, **options)


def test_many_tables_are_read_by_as_many_queries_as_one(url: str) -> None:
    with CountingConnection.connect(url) as connection:
        assert isinstance(connection, CountingConnection)
        connection.execute("CREATE SCHEMA many; CREATE TABLE many.t0 (id bigint PRIMARY KEY)")
        counts = []
        for last in (0, 50):
            for number in range(1, last + 1):
                columns = f"id bigint PRIMARY KEY, c{number} numeric(12, 2) CHECK (c{number} > 0)"
                connection.execute(f"CREATE TABLE many.t{number} ({columns})".encode())
            before, role = connection.count, connection.info.user
            adoptions = [adopt(table, role) for table in all_tables(connection, role, schema="many")]
            counts.append(connection.count - before)
            assert (len(adoptions), {adoption.problem for adoption in adoptions}) == (last + 1, {None})
        connection.rollback()
    assert counts[0] == counts[1]
