"""A snapshot has the rows of one moment, whatever changes meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import conninfo, sql

from bulk_pipeline import tables
from bulk_pipeline.errors import StoreRefusedError, StoreUnavailableError, UnwritableValueError
from bulk_pipeline.postgres.connection import end_sessions
from bulk_pipeline.rows.snapshots import Snapshot, Watermark, snapshot
from bulk_pipeline.schema import Column, Selection, Table, column_type, select
from bulk_pipeline_tests.rigs.logins import login_with

NAME = "bulk-pipeline export test"
CUSTOMERS = tables.get("customers")
EMAILS = select(CUSTOMERS, columns=["email"])


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def add(connection: psycopg.Connection, *emails: str) -> None:
    for email in emails:
        connection.execute("INSERT INTO customers (email) VALUES (%s)", [email])


def add_many(connection: psycopg.Connection, count: int) -> None:
    connection.execute(
        "INSERT INTO customers (email, city) SELECT n || '@x.co', repeat('x', 100) FROM generate_series(1, %s) AS n",
        [count],
    )


def emails(source: Snapshot, selection: Selection = EMAILS, since: Watermark | None = None) -> list[str]:
    return [row["email"] for batch in source.rows(selection, since) for row in batch.to_pylist()]


def test_a_snapshot_does_not_move(database_url: str, connection: psycopg.Connection) -> None:
    add(connection, "a@x.co")
    before = datetime.now(UTC)
    with snapshot(database_url, NAME) as source:
        add(connection, "b@x.co")
        connection.execute("UPDATE customers SET email = 'c@x.co' WHERE email = 'a@x.co'")
        assert emails(source) == emails(source) == ["a@x.co"]
        assert before <= source.taken_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (["email=b@x.co"], ["b@x.co"]),
        (["email != b@x.co"], ["a@x.co", "c@x.co"]),
        (["city != Lund"], ["b@x.co", "c@x.co"]),
        (["city is null"], ["c@x.co"]),
        (["city is not null"], ["a@x.co", "b@x.co"]),
        (["city=''"], ["b@x.co"]),
        (["email in (a@x.co, c@x.co, nobody)"], ["a@x.co", "c@x.co"]),
        (["email prefix b@"], ["b@x.co"]),
        (["email prefix %"], []),
        (["email > a@x.co", "email<=b@x.co"], ["b@x.co"]),
        (["created_at>=2026-01-02"], ["b@x.co", "c@x.co"]),
        (["created_at < 2026-01-02T01:00+01:00"], ["a@x.co"]),
        (["id=00000000-0000-0000-0000-000000000003"], ["c@x.co"]),
        (["first_name='it''s \\'"], ["a@x.co"]),
        (["email=x'; DROP TABLE customers; --"], []),
    ],
)
def test_every_filter_finds_what_it_says(
    database_url: str, connection: psycopg.Connection, where: list[str], found: list[str]
) -> None:
    for number, (email, city, name) in enumerate(
        [("a@x.co", "Lund", "it's \\"), ("b@x.co", "", "x"), ("c@x.co", None, None)], 1
    ):
        connection.execute(
            "INSERT INTO customers (id, email, city, first_name, created_at) VALUES (%s, %s, %s, %s, %s)",
            [
                f"00000000-0000-0000-0000-{number:012}",
                email,
                city,
                name,
                datetime(2026, 1, number, tzinfo=UTC),
            ],
        )
    with snapshot(database_url, NAME) as source:
        assert emails(source, select(CUSTOMERS, columns=["email"], where=where)) == found


def test_a_boolean_filter_and_an_order(database_url: str, connection: psycopg.Connection) -> None:
    for email, active in (("a@x.co", True), ("b@x.co", False), ("c@x.co", True)):
        connection.execute(
            "INSERT INTO users (email, name, role, active) VALUES (%s, 'x', 'reader', %s)", [email, active]
        )
    with snapshot(database_url, NAME) as source:
        selection = select(tables.get("users"), columns=["email"], where=["active=yes"], order=["email desc"])
        assert emails(source, selection) == ["c@x.co", "a@x.co"]
        assert emails(source, select(tables.get("users"), where=["active != true"])) == ["b@x.co"]


LISTS = Table(
    name="lists",
    columns=tuple(
        Column(name=name, type=column_type.parse(type_))
        for name, type_ in (("a", "integer"), ("b b", "text"), ("words", "text[]"), ("grid", "integer[][]"))
    ),
    primary_key=("a", "b b"),
)


@pytest.mark.parametrize(
    ("column", "value"),
    [("words", "[0:1]={x,y}"), ("grid", "[1:2][2:3]={{1,2},{3,4}}"), ("grid", "[5:5][1:1]={{1}}")],
)
def test_an_array_that_is_not_numbered_from_1_is_refused_until_it_is_renumbered(
    database_url: str, connection: psycopg.Connection, column: str, value: str
) -> None:
    connection.execute(
        'CREATE TABLE public.lists (a int, "b b" text, words text[], grid int[][], PRIMARY KEY (a, "b b"))'
    )
    connection.execute("INSERT INTO public.lists VALUES (1, 'x', '{x}', '{{1},{2}}'), (2, 'y', '{}', NULL)")
    update = sql.SQL("UPDATE public.lists SET {} = %s WHERE a = 2").format(sql.Identifier(column))
    connection.execute(update, [value])

    with snapshot(database_url, NAME) as source, pytest.raises(UnwritableValueError) as refused:
        list(source.rows(select(LISTS)))

    what, _, remedy = str(refused.value).partition(": leave the column out, or renumber them: ")
    assert what == (
        f"lists.{column} holds an array whose elements are not numbered from 1, {value} in the row with a 2, "
        "b b y, and files have no numbers of elements"
    )
    others = [name for name in LISTS.column_names if name != column]
    with snapshot(database_url, NAME) as source:
        assert sum(batch.num_rows for batch in source.rows(select(LISTS, columns=others))) == 2
    assert connection.execute(remedy.encode()).rowcount == 1
    with snapshot(database_url, NAME) as source:
        rows = [row for batch in source.rows(select(LISTS)) for row in batch.to_pylist()]
    assert [list(row) for row in rows] == [[*LISTS.column_names]] * 2


def test_a_table_with_rows_that_a_policy_may_hide_is_exported_only_as_declared(
    database_url: str, connection: psycopg.Connection
) -> None:
    add(connection, "a@x.co", "b@x.co")
    connection.execute("ALTER TABLE customers ENABLE ROW LEVEL SECURITY")
    connection.execute("CREATE POLICY only_a ON customers USING (email = 'a@x.co')")

    with login_with(database_url, "SELECT ON customers") as url, snapshot(url, NAME) as source:
        with pytest.raises(StoreRefusedError) as refused:
            emails(source)
        visible = select(replace(CUSTOMERS, export_visible_rows=True), columns=["email"])
        assert emails(source, visible) == ["a@x.co"]
    login = conninfo.conninfo_to_dict(url)["user"]
    assert str(refused.value) == (
        f"row-level security of customers may hide rows from the login {login}: export as a role with BYPASSRLS, or "
        "declare `export_visible_rows: true` for the table"
    )
    with snapshot(database_url, NAME) as source:
        assert emails(source) == ["a@x.co", "b@x.co"], "no policy applies to the owner"


def test_rows_come_by_primary_key(database_url: str, connection: psycopg.Connection) -> None:
    add_many(connection, 5_000)
    with snapshot(database_url, NAME) as source:
        ids = [
            row
            for batch in source.rows(select(CUSTOMERS, columns=["id"]))
            for row in batch.column(0).to_pylist()
        ]
    assert ids == sorted(ids)
    assert len(ids) == 5_000


def test_only_rows_that_changed_since_a_watermark(database_url: str, connection: psycopg.Connection) -> None:
    add(connection, "old@x.co", "changed@x.co", "gone@x.co")
    with snapshot(database_url, NAME) as source:
        since = source.watermark
    assert Watermark.read(since.as_dict()) == since
    add(connection, "new@x.co")
    connection.execute("UPDATE customers SET updated_at = '2001-01-01' WHERE email = 'changed@x.co'")
    connection.execute("DELETE FROM customers WHERE email = 'gone@x.co'")
    with snapshot(database_url, NAME) as source:
        assert source.can_compare(since)
        assert sorted(emails(source, since=since)) == ["changed@x.co", "new@x.co"]
        assert emails(source, since=source.watermark) == []


def test_a_transaction_that_began_before_the_watermark_and_commits_after_it_is_seen_later(
    database_url: str, connection: psycopg.Connection
) -> None:
    add(connection, "a@x.co")
    with psycopg.connect(database_url) as slow:
        slow.execute("UPDATE customers SET city = 'Lund', updated_at = now() WHERE email = 'a@x.co'")
        slow.execute("INSERT INTO customers (email) VALUES ('b@x.co')")
        add(connection, "between@x.co")
        with snapshot(database_url, NAME) as source:
            assert sorted(emails(source)) == ["a@x.co", "between@x.co"]
            since = source.watermark
        slow.commit()
    with snapshot(database_url, NAME) as source:
        # What was committed between the two is seen twice: better than never.
        assert sorted(emails(source, since=since)) == ["a@x.co", "b@x.co", "between@x.co"]


def test_a_watermark_of_another_server_cannot_be_compared(database_url: str) -> None:
    with snapshot(database_url, NAME) as source:
        here = source.watermark
        assert not source.can_compare(Watermark(here.transaction, "another"))
        assert not source.can_compare(Watermark(here.transaction - 2**31, here.system))
        assert not source.can_compare(Watermark(here.transaction + 1_000_000, here.system))


def test_deletions_are_known_where_they_are_recorded(
    database_url: str, connection: psycopg.Connection
) -> None:
    add(connection, "before@x.co", "gone@x.co", "back@x.co", "kept@x.co")
    ids = dict(connection.execute("SELECT email, id FROM customers").fetchall())
    connection.execute("DELETE FROM customers WHERE email = 'before@x.co'")
    with snapshot(database_url, NAME) as taken:
        assert not taken.records_deletions(tables.get("customers"))
    connection.execute("SELECT bulk.record_deletions('customers')")
    connection.execute("SELECT bulk.record_deletions('customers')")
    with snapshot(database_url, NAME) as source:
        since = source.watermark
    connection.execute("DELETE FROM customers WHERE email <> 'kept@x.co'")
    connection.execute("INSERT INTO customers (id, email) VALUES (%s, 'back@x.co')", [ids["back@x.co"]])
    with snapshot(database_url, NAME) as taken:
        assert taken.records_deletions(tables.get("customers"))
        assert not taken.records_deletions(tables.get("users"))
        found = [row for batch in taken.deleted(EMAILS, since) for row in batch.to_pylist()]
        assert [row["id"] for row in found] == [ids["gone@x.co"]]
        assert [row for batch in taken.deleted(EMAILS, taken.watermark) for row in batch.to_pylist()] == []


def test_a_reader_that_stops_early_lets_go_of_the_rest(
    database_url: str, connection: psycopg.Connection
) -> None:
    add_many(connection, 100_000)
    with snapshot(database_url, NAME) as source:
        next(iter(source.rows(select(CUSTOMERS))))
        assert len(emails(source)) == 100_000
        next(iter(source.rows(select(CUSTOMERS))))


def test_a_lost_database_is_an_outage(database_url: str, connection: psycopg.Connection) -> None:
    add_many(connection, 100_000)

    def lose() -> None:
        with snapshot(database_url, NAME) as source:
            for _ in source.rows(select(CUSTOMERS)):
                end_sessions(connection, NAME)

    with pytest.raises(StoreUnavailableError, match="Postgres at "):
        lose()
    with pytest.raises(StoreUnavailableError), snapshot("postgresql://x@127.0.0.1:1/x", NAME):
        pass


def test_a_table_that_has_lost_a_column_is_a_refusal(
    database_url: str, connection: psycopg.Connection
) -> None:
    connection.execute("ALTER TABLE customers DROP city")
    with (
        snapshot(database_url, NAME) as source,
        pytest.raises(StoreRefusedError, match=r"column .*city.* does not exist"),
    ):
        emails(source, select(CUSTOMERS))


def test_a_table_that_is_altered_meanwhile_stays_as_it_was(
    database_url: str, connection: psycopg.Connection
) -> None:
    add_many(connection, 100_000)
    with ThreadPoolExecutor() as threads:
        with snapshot(database_url, NAME) as source:
            batches = source.rows(select(CUSTOMERS))
            rows = next(batches).num_rows
            altered = threads.submit(connection.execute, "ALTER TABLE customers DROP city")
            rows += sum(batch.num_rows for batch in batches)
            assert not altered.done()
        altered.result()
    assert rows == 100_000
