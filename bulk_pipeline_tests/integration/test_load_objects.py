"""Upserts of objects with any keys, against `dict.update` row by row."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, ImportState
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load import LoadContext, load
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline_tests.integration.test_load_model import LATER, Died, dying_after, ids, names, times
from bulk_pipeline_tests.rigs.databases import Databases
from bulk_pipeline_tests.rigs.loading import OLD, Loading, uid
from bulk_pipeline_tests.seeds import SEEDS

Object = dict[str, Any]
"""Values by column; a missing key leaves its column unchanged."""


@dataclass
class Objects:
    """A model of a table to which objects of a file are applied one after the other by `dict.update`."""

    table: str
    rows: dict[str, Object]
    codes: list[tuple[int, str]] = field(default_factory=list)
    writers: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.declared = tables.get(self.table)
        self.before = {target: dict(row) for target, row in self.rows.items()}

    def upsert(self, number: int, record: Object) -> None:
        present = {
            name: value
            for name, value in record.items()
            if value is not None or not self.declared.column(name).null_keeps_stored
        }
        holder = next((k for k, row in self.rows.items() if row["email"] == present.get("email")), None)
        target = present.get("id") or holder or f"new {number}"
        if holder not in (None, target):
            self.codes.append((number, "key_conflict"))
            return
        required = self.declared.required_columns(Mode.UPSERT)
        if target not in self.rows and (lacking := [name for name in required if name not in present]):
            self.codes += [(number, "required")] * len(lacking)
            return
        defaults = {column.name: column.default for column in self.declared.columns}
        self.rows.setdefault(target, defaults | {"id": target}).update(present)
        self.writers.setdefault(target, []).append(number)

    def counts(self) -> LoadCounts:
        fates = Counter[str]()
        for target, numbers in self.writers.items():
            same = self.before.get(target) == self.rows[target]
            fates["unchanged" if same else "updated" if target in self.before else "inserted"] += 1
            fates["superseded"] += len(numbers) - 1
        return LoadCounts(**fates, rejected=len({number for number, _ in self.codes}))


@pytest.fixture(scope="module")
def lasting(databases: Databases) -> Iterator[str]:
    """One database for all examples."""
    with databases.migrated() as url:
        yield url


emails = st.sampled_from(["a@x.co", "b@x.co", "c@x.co"])
booleans = st.sampled_from([None, True, False])
cells: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "customers": {"first_name": names, "city": names, "created_at": times},
    "users": {
        "name": st.sampled_from("XY"),
        "role": st.sampled_from(["admin", "reader"]),
        "active": booleans,
        "created_at": times,
    },
}


def objects(table: str) -> st.SearchStrategy[list[Object]]:
    """Return objects with any of the keys, even with null, or without any."""
    one = st.fixed_dictionaries({}, optional={"id": ids, "email": emails, **cells[table]})
    return st.lists(one, min_size=1, max_size=8)


def stored_objects(table: str) -> st.SearchStrategy[list[Object]]:
    values = {**cells[table], "created_at": st.just(OLD)}
    if table == "users":
        values["active"] = st.booleans()
    return st.lists(
        st.fixed_dictionaries({"id": st.sampled_from([uid(1), uid(2), uid(3)]), "email": emails, **values}),
        max_size=3,
        unique_by=(lambda row: row["id"], lambda row: row["email"]),
    )


object_examples = given(
    example=st.sampled_from([*cells]).flatmap(
        lambda table: st.fixed_dictionaries(
            {"table": st.just(table), "stored": stored_objects(table), "file": objects(table)}
        )
    ),
    format_=st.sampled_from(["ndjson", "json"]),
    batch_rows=st.integers(1, 9),
    connections=st.integers(1, 3),
    dies_after=st.lists(st.integers(0, 3), max_size=2),
)


@settings(max_examples=60, deadline=None)
@object_examples
def test_objects_end_as_if_each_had_updated_its_row(lasting: str, **example: Any) -> None:
    check_objects(lasting, **example)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SEEDS))
@settings(max_examples=150, deadline=None)
@object_examples
def test_many_objects_end_as_if_each_had_updated_its_row(lasting: str, part: int, **example: Any) -> None:
    check_objects(lasting, **example)


def check_objects(
    database_url: str,
    example: dict[str, Any],
    format_: str,
    batch_rows: int,
    connections: int,
    dies_after: list[int],
) -> None:
    table, stored, file = example["table"], example["stored"], example["file"]
    model = Objects(table, {row["id"]: dict(row) for row in stored})
    for number, record in enumerate(file, 1):
        model.upsert(number, record)

    job = Loading(database_url, table, Mode.UPSERT, batch_rows, connections)
    job.execute(f"TRUNCATE {table} CASCADE")
    job.have(*stored)
    job.start()
    with TemporaryDirectory() as folder:
        work = WorkLocation(Path(folder))
        state = _staged(job, written(file, format_), f"file.{format_}", work)
        for batches in dies_after:
            with suppress(Died):
                _load(job, state, work, dying_after(batches))
            job = job.take_over()
        counts = _load(job, state, work)
        before_load = [entry for name in FAILURES_BEFORE_LOAD for entry in state.batches(work, name)]
        codes = [(entry["row"], entry["code"]) for batch in before_load for entry in batch.to_pylist()]

    assert counts == model.counts()
    assert sorted(codes + job.failures("row", "code")) == sorted(model.codes)
    columns = ["id", "email", *cells[table]]
    known_ids = {row.get("id") for row in [*stored, *file]}
    made = {"id": lambda value: value not in known_ids, "created_at": lambda value: value not in (OLD, LATER)}
    assert sorted(_without_made(columns, made, job.content(*columns)), key=repr) == sorted(
        _without_made(columns, made, [[row[name] for name in columns] for row in model.rows.values()]),
        key=repr,
    )


def written(file: list[Object], format_: str) -> bytes:
    lines = [json.dumps(record, default=datetime.isoformat) for record in file]
    return ("[" + ",".join(lines) + "]" if format_ == "json" else "\n".join(lines)).encode()


def _staged(job: Loading, content: bytes, name: str, work: WorkLocation) -> ImportState:
    declared = job.declared
    upload = open_upload(io.BytesIO(content), name, table=declared, mode=job.mode)
    parsed = import_steps.parse_upload(upload, job.job_id, 1, declared, job.mode, work)
    with job.postgres() as postgres, job.store() as store:
        references, known = PostgresReferences(postgres, declared), PostgresKnownRows(store)
        return import_steps.split_rows(import_steps.validate_rows(parsed, work), references, known, work)


def _load(
    job: Loading,
    state: ImportState,
    work: WorkLocation,
    progress: Callable[[LoadCounts], None] = lambda counts: None,
) -> LoadCounts:
    with job.store() as store:
        return load(
            lambda: state.good_rows(work),
            LoadContext(state.table, job.mode, store, IdMaker()),
            columns=state.columns,
            total_rows=state.rows,
            batch_rows=job.batch_rows,
            progress=progress,
        )


def _without_made(
    columns: list[str], made: dict[str, Callable[[Any], bool]], rows: Iterable[Iterable[Any]]
) -> list[tuple]:
    """Return rows with None for values generated by the database."""
    return [
        tuple(
            None if name in made and made[name](value) else value
            for name, value in zip(columns, row, strict=True)
        )
        for row in rows
    ]
