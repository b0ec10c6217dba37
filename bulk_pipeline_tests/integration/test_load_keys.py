"""Loads into tables with keys of other columns and types than the sample data has, and without any."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from bulk_pipeline.errors import LoadRefusedError
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.schema import Column, ColumnType, Generated, Identity, Mode, Table
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.split import split
from bulk_pipeline_tests.rigs import shop
from bulk_pipeline_tests.rigs.loading import Loading, Row, counts, uid

BOTH = list(Mode)
NOBODY = np.empty(0, np.int64)
JANUARY, MAY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def shop_url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(shop.create_all().encode())
    return database_url


def imported(
    job: Loading, rows: Sequence[Row], rejected: Sequence[int] = ()
) -> tuple[LoadCounts, list[tuple[int, str | None, str, str]]]:
    """The counts of a file that is split and loaded, and (row, column, code, message) of its failures in row order.

    `rejected`: numbers of rows that have a failure already, which is not among these.
    """
    job.start()
    with job.store() as store, job.postgres() as postgres:
        known, references = PostgresKnownRows(store), PostgresReferences(postgres, job.declared)
        failed = np.array(rejected, np.int64)
        parts = list(
            split(lambda: job.batches(rows), failed, job.declared, job.mode, references, known.existing)
        )
        known.keep()
    good = {row for part in parts for row in part.rows["_row"].filter(pa.array(~part.failed)).to_pylist()}
    found = [failure for part in parts for failure in part.failures.to_pylist()]
    kept = [row if number in good else None for number, row in enumerate(rows, 1)]
    loaded = job.load(*kept)
    names = ("row", "column", "code", "message")
    return loaded, sorted([tuple(one[name] for name in names) for one in found] + job.failures(*names))


def lines(*keys: str, **more: Any) -> list[Row]:
    """`"a5"` is the row with a and the fifth month."""
    months = {str(month): datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 10)}
    return [{"a": key[0], "at": months[key[1]], "name": "New", **more} for key in keys]


@pytest.mark.parametrize(
    ("mode", "expected", "failures"),
    [
        (
            Mode.INSERT_ONLY,
            "1 inserted, 3 rejected",
            [
                (
                    1,
                    "a, at",
                    "already_exists",
                    "a 'a' with at '2026-01-01 00:00:00.000000Z' is already in shop.lines",
                ),
                (
                    3,
                    "a, at",
                    "duplicate_in_file",
                    "a 'b' with at '2026-05-01 00:00:00.000000Z' was already used in row 2",
                ),
                (
                    4,
                    "a, at",
                    "already_exists",
                    "a 'a' with at '2026-01-01 00:00:00.000000Z' is already in shop.lines",
                ),
            ],
        ),
        (Mode.UPSERT, "1 inserted, 1 updated, 2 superseded", []),
    ],
)
def test_all_columns_of_a_key_make_it(shop_url: str, mode: Mode, expected: str, failures: list) -> None:
    job = Loading(shop_url, shop.SHAPES["two columns"], mode)
    job.have(*lines("a1", name="Old"))
    assert imported(job, lines("a1", "b5", "b5", "a1")) == (counts(expected), failures)
    name = "New" if mode is Mode.UPSERT else "Old"
    assert job.content("a", "at", "name") == [("a", JANUARY, name), ("b", MAY, "New")]


def goods(*rows: str) -> list[Row]:
    """`"1 a b c name"`; `-` is NULL."""
    cells = ([None if cell == "-" else cell for cell in row.split()] for row in rows)
    return [
        {"id": id_ and uid(int(id_)), "a": a, "b": b, "c": c, "name": name} for id_, a, b, c, name in cells
    ]


@pytest.mark.parametrize(
    ("file", "expected", "after"),
    [
        pytest.param(["- a - - New"], "1 updated", ["a - - New", "x y z Old"], id="the second key"),
        pytest.param(
            ["- - y z New"], "1 updated", ["- y z New", "a b c Old"], id="the third key, taking the second"
        ),
        pytest.param(
            ["- - b - New"], "1 inserted", ["- b - New", "a b c Old", "x y z Old"], id="a part of a key"
        ),
        pytest.param(
            ["- a y z New"], "1 rejected", ["a b c Old", "x y z Old"], id="the second and the third"
        ),
        pytest.param(
            ["1 x b c New"], "1 rejected", ["a b c Old", "x y z Old"], id="the first and the second"
        ),
        pytest.param(
            ["- q b c New"], "1 rejected", ["a b c Old", "x y z Old"], id="a new second, a known third"
        ),
        pytest.param(["- a q q New"], "1 updated", ["a q q New", "x y z Old"], id="a new third key"),
        pytest.param(
            ["1 q q q New", "- a b c X"],
            "1 inserted, 1 updated",
            ["a b c X", "q q q New", "x y z Old"],
            id="freed keys",
        ),
    ],
)
def test_a_row_means_the_stored_row_that_has_the_first_of_its_keys(
    shop_url: str, file: list[str], expected: str, after: list[str]
) -> None:
    declared = shop.SHAPES["an id and two keys"]
    for batch_rows in (1, 100):
        job = Loading(shop_url, declared, Mode.UPSERT, batch_rows=batch_rows)
        job.execute(f"TRUNCATE {shop.qualified(declared)}")
        job.have(*goods("1 a b c Old", "2 x y z Old"))
        assert job.load(*goods(*file)) == counts(expected)
        rows = job.content("a", "b", "c", "name")
        assert sorted(" ".join(cell or "-" for cell in row) for row in rows) == after


def test_a_row_that_gets_a_taken_key_from_the_row_it_changes_does_not_supersede_it(shop_url: str) -> None:
    job = Loading(shop_url, shop.ORDERS, Mode.UPSERT, keys_matter=True)
    job.have({"no": "1", "region": "N", "note": None})
    loaded, failures = imported(
        job,
        [
            {"no": "1", "region": "S", "note": "a"},
            {"region": "N", "note": "a"},
            {"region": "N", "note": "a"},
        ],
    )
    assert loaded == counts("1 inserted, 2 rejected")
    assert [(row, code) for row, _, code, _ in failures] == [(2, "key_conflict"), (3, "key_conflict")]
    assert job.content("no", "region", "note") == [("1", "N", None), ("1", "S", "a")]


def test_a_conflict_of_three_keys_names_those_that_the_row_has(shop_url: str) -> None:
    job = Loading(shop_url, shop.SHAPES["an id and two keys"], Mode.UPSERT)
    job.have(*goods("1 a b c Old", "2 x y z Old"))
    assert job.load(*goods("- a y z New", "1 x y z New")) == counts("2 rejected")
    assert job.failures("row", "column", "code", "value", "message") == [
        (1, "b, c", "key_conflict", "y, z", "a 'a' and b 'y' with c 'z' point at different rows"),
        (
            2,
            "b, c",
            "key_conflict",
            "y, z",
            f"id '{uid(1)}' and a 'x' and b 'y' with c 'z' point at different rows",
        ),
    ]


@pytest.mark.parametrize("mode", BOTH)
def test_names_need_no_care(shop_url: str, mode: Mode) -> None:
    job = Loading(shop_url, shop.SHAPES["odd names"], mode)
    row = {"Order No.": "1", 'say "x"': "y", "name": "n", "50%": "100 %", "select": "from"}
    assert imported(job, [row, {**row, "Order No.": "2", "50%": "5"}])[0] == counts("2 inserted")
    again = imported(job.anew(), [{**row, "name": "New"}])
    if mode is Mode.UPSERT:
        assert again == (counts("1 updated"), [])
        return
    assert again == (
        counts("1 rejected"),
        [(1, "50%", "already_exists", "50% '100 %' is already in odd")],
    )


@pytest.mark.parametrize("mode", BOTH)
def test_a_reference_of_several_columns_must_exist_as_a_whole(shop_url: str, mode: Mode) -> None:
    orders = [{"no": "1", "region": "n", "note": "x"}, {"no": "2", "region": "s", "note": None}]
    Loading(shop_url, shop.ORDERS).have(*orders)
    job = Loading(shop_url, shop.ORDER_LINES, mode)

    def line(order: str, number: str, note: str | None = None) -> Row:
        return {"order_no": order[0], "order_region": order[1], "line": number, "order_note": note}

    file = [line("1n", "1"), line("1s", "1"), line("2s", "1", "x"), line("2s", "2", "y"), line("1n", "2")]
    assert imported(job, file) == (
        counts("3 inserted, 2 rejected"),
        [
            (
                2,
                "order_no, order_region",
                "unknown_reference",
                "order_no '1' with order_region 's' is not in shop.orders",
            ),
            (4, "order_note", "unknown_reference", "order_note 'y' is not in shop.orders"),
        ],
    )


def staff(*people: str) -> list[Row]:
    """`"ann>bob"` has the boss bob, `"bob"` none."""
    parts = (person.partition(">") for person in people)
    return [{"name": name, "boss": boss or None, "room": None} for name, _, boss in parts]


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize(
    ("file", "rejected", "orphans"),
    [
        pytest.param(["bob", "ann>bob"], (), [], id="an earlier row"),
        pytest.param(["ann>bob", "bob"], (), [], id="a later row"),
        pytest.param(["ann>old"], (), [], id="a row of the table"),
        pytest.param(["ann>ann"], (), [], id="itself"),
        pytest.param(["ann>bob", "bob>cid", "cid>ann"], (), [], id="a circle"),
        pytest.param(["ann>bob"], (), [1], id="no row"),
        pytest.param(["ann>bob", "bob"], (2,), [1], id="a rejected row"),
        pytest.param(["ann>bob", "bob>cid", "cid>dot", "dot>eve"], (), [1, 2, 3, 4], id="an orphan"),
        pytest.param(
            ["ann>bob", "bob>eve", "eve>old"], (1,), [], id="a rejected row that refers to a good one"
        ),
    ],
)
def test_a_row_may_refer_to_any_row_of_its_own_table_and_file(
    shop_url: str, mode: Mode, file: list[str], rejected: tuple[int, ...], orphans: list[int]
) -> None:
    job = Loading(shop_url, shop.STAFF, mode)
    job.have(*staff("old"))
    loaded, failures = imported(job, staff(*file), rejected)
    assert [(row, code) for row, _, code, _ in failures] == [(row, "unknown_reference") for row in orphans]
    assert loaded == LoadCounts(
        inserted=len(file) - len(orphans) - len(rejected), rejected=len(orphans) + len(rejected)
    )


def test_children_of_a_row_that_the_database_refuses_are_orphans(shop_url: str) -> None:
    job = Loading(shop_url, shop.STAFF)
    job.execute("ALTER TABLE shop.staff ADD CHECK (name <> 'bad')")
    loaded, failures = imported(job, staff("ann>bad", "bob", "bad>bob", "cid>ann", "dot>bob"))
    assert loaded == counts("2 inserted, 3 rejected")
    assert [(row, code) for row, _, code, _ in failures] == [
        (1, "unknown_reference"),
        (3, "constraint"),
        (4, "unknown_reference"),
    ]
    assert job.content("name") == [("bob",), ("dot",)]


def test_a_table_without_a_key_takes_every_row(shop_url: str) -> None:
    job = Loading(shop_url, shop.LOG)
    row = {"at": JANUARY, "what": "x"}
    assert imported(job, [row, row]) == (counts("2 inserted"), [])
    assert imported(job.anew(), [row]) == (counts("1 inserted"), [])
    assert job.content("at", "what") == [(JANUARY, "x")] * 3


def test_a_table_without_a_key_cannot_be_updated(shop_url: str) -> None:
    sentence = (
        "shop.log cannot be loaded: shop.log has no key by which upsert could find its rows. "
        "To mend it: import in insert_only, or add a unique key to the table and its declaration; then retry the job"
    )
    with pytest.raises(LoadRefusedError) as refused:
        Loading(shop_url, shop.LOG, Mode.UPSERT).load({"at": JANUARY, "what": "x"})
    assert str(refused.value) == sentence


@pytest.mark.parametrize("refuses", ["RAISE EXCEPTION 'no'", "RETURN NULL"])
def test_the_rows_without_a_key_that_a_trigger_refuses_are_told_apart(shop_url: str, refuses: str) -> None:
    job = Loading(shop_url, shop.LOG)
    job.execute(
        f"""
        CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN IF NEW.what = 'bad' THEN {refuses}; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON shop.log FOR EACH ROW EXECUTE FUNCTION shop.refuse()
        """
    )
    words = ["a", "bad", "c", "d", "bad", "f"]
    loaded, failures = imported(job, [{"at": JANUARY, "what": word} for word in words])
    assert loaded == counts("4 inserted, 2 rejected")
    assert [(row, code) for row, _, code, _ in failures] == [(2, "constraint"), (5, "constraint")]
    assert job.content("what") == [("a",), ("c",), ("d",), ("f",)]


def test_the_database_makes_what_a_row_does_not_bring(database_url: str) -> None:
    declared = Table(
        name="visits",
        columns=(
            Column(name="id", type=ColumnType.UUID, generated=Generated.DEFAULT),
            Column(name="at", type=ColumnType.TIMESTAMP, generated=Generated.DEFAULT),
            Column(name="who"),
        ),
        primary_key=("id",),
    )
    job = Loading(database_url, declared)
    job.execute(
        "CREATE TABLE public.visits (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz NOT NULL DEFAULT '2026-05-01Z', "
        "who text)"
    )
    rows = [
        {"id": uid(1), "at": JANUARY, "who": "a"},
        {"id": None, "at": JANUARY, "who": "b"},
        {"id": uid(3), "at": None, "who": "c"},
        {"id": None, "at": None, "who": "d"},
    ]
    assert imported(job, rows) == (counts("4 inserted"), [])
    assert job.content("who", "at") == [("a", JANUARY), ("b", JANUARY), ("c", MAY), ("d", MAY)]
    assert imported(job.anew(), [{"who": "e"}]) == (counts("1 inserted"), [])


@pytest.mark.parametrize("mode", BOTH)
def test_many_rows_that_bring_no_key_are_all_new(database_url: str, mode: Mode) -> None:
    declared = Table(
        name="visits",
        columns=(Column(name="id", type=parse("bigint"), identity=Identity.ALWAYS), Column(name="who")),
        primary_key=("id",),
    )
    job = Loading(database_url, declared, mode)
    job.execute("CREATE TABLE public.visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text)")
    job.execute("INSERT INTO visits (who) VALUES ('old')")
    assert imported(job, [{"who": "new"}] * 6_000) == (counts("6000 inserted"), [])
    assert job.content("who")[:2] == [("new",), ("new",)]


@pytest.mark.parametrize(
    ("file", "expected", "after"),
    [
        pytest.param(
            [{"a": None, "c": "a"}, {"a": None, "c": "a"}, {"name": "New"}],
            "1 superseded, 1 inserted, 1 rejected",
            [(None, "a", None), ("1", "z", None)],
            id="a row without a key",
        ),
        pytest.param(
            [{"c": "b"}, {"a": None, "c": "a"}, {"a": None, "c": "a"}],
            "1 inserted, 2 rejected",
            [(None, "b", None), ("1", "z", None)],
            id="rows that are refused do not supersede each other",
        ),
        pytest.param(
            [{"c": "b"}, {"c": "a"}, {"c": "a"}],
            "1 inserted, 2 rejected",
            [(None, "b", None), ("1", "z", None)],
            id="in a file without the column",
        ),
        pytest.param(
            [{"c": "z", "a": None}, {"c": "b"}, {"c": "z", "a": "2"}, {"c": "b"}],
            "1 superseded, 1 updated, 1 rejected, 1 inserted",
            [(None, "b", None), ("2", "z", None)],
            id="given up by a stored row",
        ),
        pytest.param(
            [{"c": "z", "name": "New"}, {"c": "z", "b": "1"}],
            "1 superseded, 1 updated",
            [("1", "z", "New")],
            id="stored rows have it already",
        ),
    ],
)
def test_a_new_row_that_does_not_say_a_key_of_equal_nulls_has_null_in_its_turn(
    shop_url: str, file: list[Row], expected: str, after: list[tuple]
) -> None:
    rooms = Loading(shop_url, shop.SHAPES["equal NULLs beside others"], Mode.UPSERT, keys_matter=True)
    rooms.have({"a": "1", "c": "z"})
    loaded, failures = imported(rooms, file)
    assert loaded == counts(expected)
    assert {code for _, _, code, _ in failures} <= {"key_conflict"}
    assert rooms.content("a", "c", "name") == sorted(after, key=repr)


def test_a_new_row_whose_nulls_are_the_key_of_another_one_is_a_conflict(shop_url: str) -> None:
    job = Loading(shop_url, shop.SHAPES["equal NULLs"], Mode.UPSERT)
    job.have({"a": None, "b": None, "name": "Old"})
    assert job.load({"b": None, "name": "New"}) == counts("1 rejected")
    assert job.failures("row", "column", "code", "message") == [
        (1, "a, b", "key_conflict", "a NULL with b NULL point at different rows")
    ]


def numbered(identity: str, kind: Identity) -> tuple[Table, str]:
    """A table whose rows have numbers, and the statement that creates it."""
    declared = Table(
        name="invoices",
        columns=(
            Column(name="id", type=parse("bigint"), identity=kind),
            Column(name="number"),
            Column(name="net", type=parse("numeric(8,2)")),
            Column(name="gross", type=parse("numeric(8,2)"), generated=Generated.ALWAYS),
        ),
        primary_key=("id",),
        unique_keys=(("number",),),
    )
    return declared, (
        f"CREATE TABLE public.invoices (id {identity} PRIMARY KEY, number text UNIQUE, net numeric(8,2), "
        "gross numeric(8,2) GENERATED ALWAYS AS (net * 1.2) STORED)"
    )


IDENTITIES = pytest.mark.parametrize(
    ("identity", "kind"),
    [
        ("bigint GENERATED ALWAYS AS IDENTITY", Identity.ALWAYS),
        ("bigint GENERATED BY DEFAULT AS IDENTITY", Identity.BY_DEFAULT),
        ("bigserial", Identity.SERIAL),
    ],
)


@IDENTITIES
@pytest.mark.parametrize("mode", BOTH)
def test_the_sequence_of_numbers_goes_on_behind_those_of_a_file(
    database_url: str, identity: str, kind: Identity, mode: Mode
) -> None:
    declared, create = numbered(identity, kind)
    job = Loading(database_url, declared, mode)
    job.execute(create)
    rows = [{"id": 41, "number": "a"}, {"id": None, "number": "b"}, {"id": 7, "number": "c"}]
    assert imported(job, rows) == (counts("3 inserted"), [])
    job.execute("INSERT INTO public.invoices (number) VALUES ('application')")
    assert imported(job.anew(), [{"number": "d"}, {"number": "e"}]) == (counts("2 inserted"), [])
    ids = dict(job.execute("SELECT number, id FROM public.invoices"))
    assert (ids["a"], ids["c"]) == (41, 7)
    assert min(ids[name] for name in ("b", "application", "d", "e")) >= 1
    assert [ids[name] for name in ("application", "d", "e")] == [42, 43, 44] or ids["b"] == 42


@IDENTITIES
def test_numbered_rows_are_changed_by_any_key(database_url: str, identity: str, kind: Identity) -> None:
    declared, create = numbered(identity, kind)
    job = Loading(database_url, declared, Mode.UPSERT)
    job.execute(create)
    job.execute("INSERT INTO public.invoices (number, net) VALUES ('a', 1), ('b', 2), ('c', 3)")
    rows = [
        {"id": 1, "number": "x", "net": "10"},
        {"id": None, "number": "b", "net": "20"},
        {"id": 3, "number": "c", "net": "3.00"},
        {"id": 2, "number": "c", "net": "5"},
    ]
    decimals = [{**row, "net": Decimal(row["net"])} for row in rows]
    loaded, failures = imported(job, decimals)
    assert loaded == counts("2 updated, 1 unchanged, 1 rejected")
    assert failures == [(4, "number", "key_conflict", "id '2' and number 'c' point at two different rows")]
    found = job.execute("SELECT id, number, net, gross FROM public.invoices ORDER BY id")
    assert [tuple(map(str, row)) for row in found] == [
        ("1", "x", "10.00", "12.00"),
        ("2", "b", "20.00", "24.00"),
        ("3", "c", "3.00", "3.60"),
    ]


def test_a_sequence_that_is_behind_is_named(database_url: str) -> None:
    declared, create = numbered("bigint GENERATED BY DEFAULT AS IDENTITY", Identity.BY_DEFAULT)
    job = Loading(database_url, declared)
    job.execute(create)
    job.execute("INSERT INTO public.invoices (id, number) SELECT n, n FROM generate_series(1, 1000) AS n")
    loaded, failures = imported(job, [{"number": name} for name in "abc"])
    assert loaded == counts("3 rejected")
    refused = r"the database refused the row: constraint invoices_pkey: Key \(id\)=\(\d+\) already exists"
    assert [(row, code, bool(re.fullmatch(refused, message))) for row, _, code, message in failures] == [
        (row, "constraint", True) for row in (1, 2, 3)
    ]
