"""Small files for tables with keys of every shape, split and loaded, against a model that goes row by row."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from bulk_pipeline.schema import Column, ColumnType, Key, Mode, Table, UploadFormat
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline_tests.integration.test_load_model import Died, dying_after, split_rows
from bulk_pipeline_tests.rigs.databases import Databases
from bulk_pipeline_tests.rigs.loading import Loading, uid
from bulk_pipeline_tests.rigs.shop import SHAPES, create_all, qualified
from bulk_pipeline_tests.seeds import SEEDS

Record = Mapping[str, Any]


@dataclass
class Model:
    """A table, and the rows of a file applied to it one after the other. Rows have a name each, which nobody sees."""

    table: Table
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: list[tuple[int, str]] = field(default_factory=list)
    writers: dict[str, list[int]] = field(default_factory=dict)

    def store(self, records: Sequence[Record]) -> list[Record]:
        """Put those of the records into the table whose keys are free; they are also the table as it was before."""
        kept = []
        for number, record in enumerate(records):
            if not any(self._holders(key, record) for key in self.table.keys):
                self.rows[f"stored {number}"] = dict(record)
                kept.append(record)
        self.before = {name: dict(row) for name, row in self.rows.items()}
        return kept

    def upsert(self, number: int, record: Record) -> None:
        said = {name: cell for name, cell in record.items() if cell is not None or not self._is_made(name)}
        complete = [key for key in self.table.keys if self._value(key, said) is not None]
        target = next(iter(self._holders(complete[0], said)), None) if complete else None
        name = target or f"new {number}"
        blank = {one: None for one in self.table.column_names if not self._is_made(one)}
        after = self.rows.get(name, blank) | said
        if any(set(self._holders(key, after)) - {name} for key in self.table.keys):
            self.codes.append((number, "key_conflict"))
            return
        lacking = [one for one in self.table.required_columns(Mode.UPSERT) if one not in said]
        if lacking and name not in self.rows:
            self.codes += [(number, "required")] * len(lacking)
            return
        self.rows[name] = dict.fromkeys(self.table.column_names) | after
        self.writers.setdefault(name, []).append(number)

    def insert(self, number: int, record: Record, claimed: set[tuple[Key, tuple]]) -> None:
        record = {**{one: None for one in self.table.column_names if not self._is_made(one)}, **record}
        keys = {(key, value) for key in self.table.keys if (value := self._value(key, record)) is not None}
        if repeated := len(keys & claimed):
            self.codes += [(number, "duplicate_in_file")] * repeated
        elif any(self._value(key, row) == value for key, value in keys for row in self.before.values()):
            self.codes.append((number, "already_exists"))
        else:
            claimed |= keys
            self.rows[f"new {number}"] = {**dict.fromkeys(self.table.column_names), **record}
            self.writers[f"new {number}"] = [number]

    def counts(self) -> LoadCounts:
        fates = Counter[str]()
        for name, numbers in self.writers.items():
            same = self.before.get(name) == self.rows[name]
            fates["unchanged" if same else "updated" if name in self.before else "inserted"] += 1
            fates["superseded"] += len(numbers) - 1
        return LoadCounts(**fates, rejected=len({number for number, _ in self.codes}))

    def content(self) -> list[tuple]:
        return in_order(tuple(row[name] for name in self.table.column_names) for row in self.rows.values())

    def _holders(self, key: Key, record: Record) -> list[str]:
        value = self._value(key, record)
        return [
            name for name, row in self.rows.items() if value is not None and self._value(key, row) == value
        ]

    def _value(self, key: Key, record: Record) -> tuple | None:
        if any(name not in record for name in key.columns):
            return None
        value = tuple(record[name] for name in key.columns)
        return None if key.nulls_distinct and None in value else value

    def _is_made(self, name: str) -> bool:
        return self.table.column(name).null_keeps_stored


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[str]:
    """One database for all the examples."""
    with databases.migrated() as url:
        with psycopg.connect(url) as connection:
            connection.execute(create_all().encode())
        yield url


NUMBERS = tuple(map(Decimal, ("1.0", "1.00", "1", "2.5", "-2.50")))
MIDNIGHT = datetime(2025, 1, 1, tzinfo=UTC)
VALUES: dict[str, Sequence[Any]] = {
    "text": ("a", "b", "a b", ""),
    "uuid": (uid(1), uid(2), uid(3)),
    "boolean": (True, False),
    "timestamp with time zone": (MIDNIGHT, MIDNIGHT + timedelta(microseconds=1)),
    "date": (date(2025, 1, 1), date(2024, 2, 29), date(1, 1, 1)),
    "smallint": (0, 1, -32_768),
    "integer": (0, 1, -1),
    "bigint": (-1, -2, -3),
    "numeric": NUMBERS,
    "numeric(4,2)": NUMBERS,
}
"""By type; the numbers that the database makes are positive, and the exact ones are equal in several forms."""


def made(column: Column, row: int) -> Any:
    """Return a value that no row of a file has, for a stored row."""
    return uid(9 + row) if column.type is ColumnType.UUID else -9 - row


def cells(table: Table, column: Column) -> st.SearchStrategy[Any]:
    values = VALUES[str(column.type)]
    is_key = column.name in table.primary_key and not column.null_keeps_stored
    if is_key or column.name in table.upload_format.match:
        return st.sampled_from(values)
    return st.sampled_from([None, *values])


@st.composite
def examples(draw: st.DrawFn) -> dict[str, Any]:
    """A table, its rows, and rows of a file: with the same columns, or each with its own ones."""
    mode = draw(st.sampled_from(Mode))
    table = draw(st.sampled_from(list(SHAPES.values())))
    record = st.fixed_dictionaries({column.name: cells(table, column) for column in table.columns})
    stored = draw(st.lists(record, max_size=4))
    made_columns = [column for column in table.columns if column.null_keeps_stored]
    stored = [
        row | {column.name: row[column.name] or made(column, at) for column in made_columns}
        for at, row in enumerate(stored)
    ]
    keys_matter = draw(st.booleans())
    match = draw(st.sampled_from([(), *(key.columns for key in table.keys)])) if mode is Mode.UPSERT else ()
    table = table.matching(UploadFormat(match=match))
    record = st.fixed_dictionaries({column.name: cells(table, column) for column in table.columns})
    needed = {"name", *match} if mode is Mode.UPSERT else {"name", *table.required_columns(mode)}
    optional = [name for name in table.column_names if name not in needed]
    made_names = [column.name for column in made_columns]
    may_lack = optional if keys_matter else [name for name in made_names if name not in needed]
    left_out = st.sets(st.sampled_from(may_lack)) if may_lack else st.just(set[str]())
    all_lack = draw(left_out)
    file = []
    for row in draw(st.lists(record, max_size=8)):
        lacks = draw(left_out) if keys_matter else all_lack
        file.append({name: cell for name, cell in row.items() if name not in lacks})
    return {"mode": mode, "table": table, "stored": stored, "file": file, "keys_matter": keys_matter}


loads = given(
    example=examples(),
    batch_rows=st.integers(1, 9),
    connections=st.integers(1, 3),
    dies_after=st.lists(st.integers(0, 3), max_size=1),
)


@settings(max_examples=80, deadline=None)
@loads
def test_a_file_ends_as_if_its_rows_were_applied_one_by_one(shop: str, **load: Any) -> None:
    check(shop, **load)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(SEEDS))
@settings(max_examples=200, deadline=None)
@loads
def test_many_files_end_as_if_their_rows_were_applied_one_by_one(shop: str, part: int, **load: Any) -> None:
    check(shop, **load)


def check(
    shop: str, example: dict[str, Any], batch_rows: int, connections: int, dies_after: list[int]
) -> None:
    table, file, mode = example["table"], example["file"], example["mode"]
    note(f"{mode} into {table.name} {example['stored']}: {file}")
    model = Model(table)
    stored = model.store(example["stored"])
    claimed: set[tuple[Key, tuple]] = set()
    for number, record in enumerate(file, 1):
        model.upsert(number, record) if mode.rules.updates_rows else model.insert(number, record, claimed)

    job = Loading(
        shop,
        table,
        mode=mode,
        batch_rows=batch_rows,
        connections=connections,
        keys_matter=example["keys_matter"],
    )
    job.execute(f"TRUNCATE {qualified(table)}")
    job.have(*stored)
    job.start()
    for batches in dies_after:
        with suppress(Died):
            rows, _ = split_rows(job, file)
            job.load(*rows, progress=dying_after(batches))
        job = job.take_over()
    rows, codes = split_rows(job, file)
    counts = job.load(*rows)

    assert counts == model.counts()
    assert sorted(codes + job.failures("row", "code")) == sorted(model.codes)
    assert content(job, [*stored, *file]) == model.content()


def content(job: Loading, given_rows: Sequence[Record]) -> list[tuple]:
    """The table as the model has it: what the database has made is None."""
    columns = job.declared.columns
    given_cells = {
        column.name: {row.get(column.name) for row in given_rows}
        for column in columns
        if column.null_keeps_stored
    }
    rows = (
        dict(zip(job.declared.column_names, row, strict=True))
        for row in job.content(*job.declared.column_names)
    )
    known = (
        row | {name: row[name] if row[name] in cells else None for name, cells in given_cells.items()}
        for row in rows
    )
    return in_order(tuple(row.values()) for row in known)


def in_order(rows: Iterable[tuple]) -> list[tuple]:
    """Return the rows sorted; equal cells of several forms sort alike."""

    def form(cell: Any) -> str:
        match cell:
            case Decimal():
                return str(cell.normalize())
            case datetime():
                return cell.astimezone(UTC).isoformat()
            case _:
                return repr(cell)

    return sorted(rows, key=lambda row: [form(cell) for cell in row])
