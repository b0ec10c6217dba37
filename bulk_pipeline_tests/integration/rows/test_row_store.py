"""The row store searches by whole sets, and leaves nothing behind."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.rows import stored_keys
from bulk_pipeline.rows.batch_writer import PostgresBatchWriter
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.schema import ForeignKey, Mode
from bulk_pipeline.stages.load.resolve import Decision, Fate
from bulk_pipeline_tests.rigs.loading import Loading, Row, uid

_ID, _EMAIL = 0, 1
"""The numbers of the keys of customers."""


def customer(number: int | None, email: str, name: str = "Old") -> Row:
    return {"id": number and uid(number), "email": email, "first_name": name}


@pytest.fixture
def customers(each_database_url: str) -> Loading:
    loading = Loading(each_database_url, mode=Mode.UPSERT)
    loading.have(*(customer(number, email) for number, email in enumerate("abc", 1)))
    return loading.start()


@pytest.mark.parametrize("connections", [1, 2])
def test_rows_are_set_beside_the_table_in_one_go(customers: Loading, connections: int) -> None:
    file = [
        customer(1, "a"),  # same
        customer(None, "b", "New"),  # changed
        customer(2, "c"),  # conflicting
        customer(3, "q"),  # takes c away from 3
        customer(9, "z"),  # new
    ]
    with replace(customers, connections=connections).store() as store:
        result = store.compare(lambda: customers.batches(file))
    assert result.same.tolist() == [1]
    assert sorted(result.changed.tolist()) == [2, 4]
    assert result.conflicting.tolist() == [3]
    assert sorted(set(result.linked.tolist())) == [2, 3, 4], "3 names c; 2 would be renamed, and names b"


def test_ids_that_a_table_does_not_have_are_missing(customers: Loading) -> None:
    to_customers, to_users = (
        ForeignKey(columns=("id",), table=name, references=("id",)) for name in ("customers", "public.users")
    )
    asked = pa.record_batch({"id": [uid(2), uid(7), uid(1), uid(8)]})
    with customers.postgres() as postgres:
        references = PostgresReferences(postgres, tables.get("customers"))
        assert references.missing(to_customers, asked).tolist() == [False, True, False, True]
        assert references.missing(to_users, asked).all()


def test_decisions_are_stored_unchanged(customers: Loading) -> None:
    decisions = [
        Decision(3, Fate.UPDATE, rekeys=True, differs=True, carried=(("city", 1), ("phone", 2))),
        Decision(4, Fate.INSERT),
        Decision(5, Fate.SUPERSEDED, by=8),
        Decision(7, Fate.CONFLICT),
    ]
    with customers.store() as store:
        store.keep_decisions(decisions[:2])
        store.keep_decisions(decisions[2:])
        assert store.decisions() == decisions


def test_nothing_temporary_outlives_a_load(customers: Loading) -> None:
    with customers.postgres() as postgres:
        store = PostgresRowStore(postgres, tables.get("customers"), customers.job_id, 1)
        customers.load_with(store, [customer(1, "a", "New"), customer(5, "e"), customer(2, "c")])
        left = "SELECT relname FROM pg_class WHERE relpersistence = 't'"
        with postgres.connection() as connection:  # the one that loading has used
            assert connection.execute(left).fetchall() == []


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize(
    ("few", "kept", "as_large"),
    [(0, 3, 0), (0, 3, math.inf), (2, 3, math.inf), (0, 100, math.inf), (2, 100, math.inf), (100, 0, 0)],
    ids=[
        "staged, as the table is larger",
        "staged, as the file is",
        "a few, then staged",
        "among the stored",
        "a few, then among the stored",
        "a few",
    ],
)
def test_existing_keys_are_found_in_any_number_of_rows(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    kept: int,
    as_large: float,
    connections: int,
) -> None:
    monkeypatch.setattr("bulk_pipeline.rows.row_store._FEW_ROWS", few)
    monkeypatch.setattr("bulk_pipeline.rows.row_store._KEPT_ROWS", kept)
    monkeypatch.setattr("bulk_pipeline.rows.row_store._AS_LARGE", as_large)
    have = Loading(database_url, connections=connections)
    have.have(customer(1, "it's"), customer(2, 'a "b"\\c'), customer(3, "{x,y}"))
    have.execute("ANALYZE customers")
    rows = [
        customer(7, "it's"),
        customer(2, "new"),
        customer(None, 'a "b"\\c'),
        customer(3, "{x,y}"),
        customer(9, "z"),
    ]
    with have.store() as store:
        found = store.existing(rows.select(["_row", "id", "email"]) for rows in have.batches(rows))
    assert {number: sorted(rows.tolist()) for number, rows in found.items() if len(rows)} == {
        _EMAIL: [1, 3, 4],
        _ID: [2],
    }


def test_the_keys_of_a_table_are_fetched_as_they_are(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are fetched in parts, up to the table's end at that time."""
    monkeypatch.setattr("bulk_pipeline.rows.stored_keys._PAGES_AT_ONCE", 2)
    texts = [
        "",
        " ",
        "A",
        "a",
        "\x01\\N",
        "“naïve” 日本 🙂",
        "\n",
        *(f"{number}@b.cd" for number in range(900)),
    ]
    have = Loading(database_url)
    have.have(*(customer(number, text) for number, text in enumerate(texts, 1)))
    customers = tables.get("customers")
    with have.postgres() as postgres, postgres.connection() as connection:
        parts = stored_keys.pages(connection, customers)
        assert len(parts) > 3
        have.have(*(customer(number, f"later {number}") for number in range(2_000, 2_300)))
        found = [stored_keys.fetched(connection, customers, [_ID, _EMAIL], part) for part in parts]
    assert sorted(cell.decode() for part in found for cell in part[_EMAIL].to_pylist()) == sorted(
        [*texts, *(f"later {number}" for number in range(2_000, 2_300))]
    )
    ids = [str(UUID(bytes=cell)) for part in found for cell in part[_ID].to_pylist()]
    assert sorted(ids) == sorted([*map(uid, range(1, len(texts) + 1)), *map(uid, range(2_000, 2_300))])


def test_no_keys_are_fetched_from_an_empty_table(database_url: str) -> None:
    customers = tables.get("customers")
    with Loading(database_url).postgres() as postgres, postgres.connection() as connection:
        (part,) = stored_keys.pages(connection, customers)
        found = stored_keys.fetched(connection, customers, [_ID, _EMAIL], part)
    assert [len(keys) for keys in found.values()] == [0, 0]


def test_a_key_taken_while_its_row_is_written_alone_is_reported_as_existing(
    customers: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter([customer(6, "y"), customer(7, "x")])
    insert = PostgresBatchWriter.insert

    def overtaken(writer: PostgresBatchWriter, rows: pa.Table) -> np.ndarray:
        """Insert both rows, which is refused for y, then x alone, whose key was free a moment ago."""
        customers.have(next(others))
        return insert(writer, rows)

    monkeypatch.setattr(PostgresBatchWriter, "insert", overtaken)
    loading = replace(customers, mode=Mode.INSERT_ONLY)
    assert loading.load(customer(8, "x"), customer(9, "y")).rejected == 2
    assert loading.failures() == [(1, "email", "already_exists"), (2, "email", "already_exists")]
    assert next(others, None) is None
    assert customers.content("email") == [("a",), ("b",), ("c",), ("x",), ("y",)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_jobs_at_once_insert_every_key_once(database_url: str, seed: int) -> None:
    """Each file shares half of its keys with the next one."""
    keys = [f"{number}@b.cd" for number in range(1_100)]
    files = [keys[start : start + 200] for start in range(0, 1_000, 100)]
    for file in files:
        Random(seed).shuffle(file)

    def load(file: list[str]) -> tuple[int, int]:
        job = Loading(database_url, batch_rows=60)
        counts = job.load(*({"email": email} for email in file))
        assert {code for _, _, code in job.failures()} <= {"already_exists"}
        return counts.inserted, counts.rejected

    with ThreadPoolExecutor(len(files)) as threads:
        outcomes = list(threads.map(load, files))
    assert sum(inserted for inserted, _ in outcomes) == 1_100
    assert sum(rejected for _, rejected in outcomes) == 900
    assert sorted(Loading(database_url).content("email")) == sorted((key,) for key in keys)
