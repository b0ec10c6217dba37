"""Small files of every shape, split and loaded, against a row-by-row model."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.schema import ForeignKey, Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.split import split
from bulk_pipeline_tests.rigs.databases import Databases
from bulk_pipeline_tests.rigs.loading import OLD, Loading, Row, uid
from bulk_pipeline_tests.seeds import SEEDS

LATER = datetime(2026, 1, 1, tzinfo=UTC)
Record = tuple[str | None, str, str | None, datetime | None]
"""The id, email, first_name and created_at of a row."""


@dataclass
class Model:
    """A model of a table to which rows of a file are applied one after the other."""

    rows: dict[str, Record]
    codes: list[tuple[int, str]] = field(default_factory=list)
    writers: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = dict(self.rows)

    def upsert(self, number: int, record: Record) -> None:
        id_, email, name, created = record
        holder = next((known for known, row in self.rows.items() if row[1] == email), None)
        target = id_ or holder or f"new {number}"
        if holder not in (None, target):
            self.codes.append((number, "key_conflict"))
            return
        stored = self.rows.get(target)
        self.rows[target] = (target, email, name, created or (stored[3] if stored else None))
        self.writers.setdefault(target, []).append(number)

    def insert(self, number: int, record: Record, claimed: set[str]) -> None:
        keys = {key for key in record[:2] if key is not None}
        if repeated := len(keys & claimed):
            self.codes += [(number, "duplicate_in_file")] * repeated
            return
        if any(keys & {known, row[1]} for known, row in self.before.items()):
            self.codes.append((number, "already_exists"))
            return
        claimed |= keys
        self.rows[record[0] or f"new {number}"] = record
        self.writers[record[0] or f"new {number}"] = [number]

    def counts(self) -> LoadCounts:
        fates = Counter[str]()
        for target, numbers in self.writers.items():
            same = self.before.get(target) == self.rows[target]
            fates["unchanged" if same else "updated" if target in self.before else "inserted"] += 1
            fates["superseded"] += len(numbers) - 1
        return LoadCounts(**fates, rejected=len({number for number, _ in self.codes}))

    def content(self) -> set[Record]:
        return {(None if str(row[0]).startswith("new") else row[0], *row[1:]) for row in self.rows.values()}


class Died(Exception):
    """A worker died in the middle of a load."""


@pytest.fixture(scope="module")
def lasting(databases: Databases) -> Iterator[str]:
    """One database for all examples."""
    with databases.migrated() as url:
        yield url


ids = st.sampled_from([None, None, uid(1), uid(2), uid(3)])
emails = st.sampled_from(["a", "b", "c", "d"])
names = st.sampled_from([None, "X", "Y"])
times = st.sampled_from([None, None, OLD, LATER])
files = st.lists(st.tuples(ids, emails, names, times), max_size=9)
stored_rows = st.lists(
    st.tuples(st.sampled_from([uid(1), uid(2), uid(3), uid(4)]), emails, names, st.just(OLD)),
    max_size=4,
    unique_by=(lambda row: row[0], lambda row: row[1]),
)


examples = given(
    mode=st.sampled_from(Mode),
    stored=stored_rows,
    file=files,
    batch_rows=st.integers(1, 10),
    connections=st.integers(1, 3),
    dies_after=st.lists(st.integers(0, 3), max_size=2),
)


@settings(max_examples=60, deadline=None)
@examples
def test_a_file_ends_as_if_its_rows_were_applied_one_by_one(lasting: str, **example: Any) -> None:
    """For any batches, any number of concurrent writes, and any interruptions."""
    check(lasting, **example)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SEEDS))
@settings(max_examples=150, deadline=None)
@examples
def test_many_files_end_as_if_their_rows_were_applied_one_by_one(
    lasting: str, part: int, **example: Any
) -> None:
    check(lasting, **example)


def check(
    database_url: str,
    mode: Mode,
    stored: list[Record],
    file: list[Record],
    batch_rows: int,
    connections: int,
    dies_after: list[int],
) -> None:
    model = Model({str(record[0]): record for record in stored})
    claimed: set[str] = set()
    for number, record in enumerate(file, 1):
        model.upsert(number, record) if mode.rules.updates_rows else model.insert(number, record, claimed)

    job = Loading(database_url, mode=mode, batch_rows=batch_rows, connections=connections)
    job.execute("TRUNCATE customers")
    job.have(*map(_row, stored))
    job.start()
    records = [_row(record) for record in file]
    for batches in dies_after:
        with suppress(Died):
            rows, _ = split_rows(job, records)
            job.load(*rows, progress=dying_after(batches))
        job = job.take_over()
    rows, codes = split_rows(job, records)
    counts = job.load(*rows)

    assert counts == model.counts()
    assert sorted(codes + job.failures("row", "code")) == sorted(model.codes)
    assert _content(job, {str(record[0]) for record in [*stored, *file]}) == model.content()
    assert sum(LoadCounts(*row[3:]).processed for row in job.batches_in()) == len(file)


def _row(record: Record) -> Row:
    return dict(zip(("id", "email", "first_name", "created_at"), record, strict=True))


def split_rows(job: Loading, rows: list[Row]) -> tuple[list[Row | None], list[tuple[int, str]]]:
    """The rows that loading gets, None for the others, and why those are rejected."""
    nobody, table = np.empty(0, np.int64), job.declared
    with job.store() as store:
        known = PostgresKnownRows(store)
        parts = list(
            split(lambda: job.batches(rows), nobody, table, job.mode, NoReferences(), known.existing)
        )
        known.keep()
    good = {row for part in parts for row in part.rows["_row"].filter(pa.array(~part.failed)).to_pylist()}
    result = [failure for part in parts for failure in part.failures.to_pylist()]
    good_rows = [row if number in good else None for number, row in enumerate(rows, 1)]
    return good_rows, [(failure["row"], failure["code"]) for failure in result]


class NoReferences:
    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        raise AssertionError(f"customers refer to nobody, not to {key.table}")


def dying_after(commits: int) -> Callable[[LoadCounts], None]:
    countdown = iter(range(commits))

    def progress(counts: LoadCounts) -> None:
        if next(countdown, None) is None:
            raise Died

    return progress


def _content(job: Loading, given_ids: set[str]) -> set[Record]:
    """Return the table in the form of the model, with None for generated ids and times."""
    rows = job.content("id", "email", "first_name", "created_at")
    return {
        (id_ if id_ in given_ids else None, email, name, created if created in (OLD, LATER) else None)
        for id_, email, name, created in rows
    }
