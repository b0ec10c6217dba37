"""A table, a job that is worked on, and what is loaded into it: the world of the tests of `load`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import uuid4

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from bulk_pipeline import tables
from bulk_pipeline.schema import Mode
from bulk_pipeline.schema.types import ARROW_TYPES
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.load import load
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.row_store import LoadCounts
from bulk_pipeline.stores.postgres import Postgres
from bulk_pipeline.stores.rows import PostgresRowStore
from bulk_pipeline.stores.settlements import load_failures

Row: TypeAlias = Mapping[str, Any]
OLD = datetime(2025, 1, 1, tzinfo=UTC)


def uid(number: int) -> str:
    """An id that is easy to read."""
    return f"00000000-0000-7000-8000-{number:012d}"


@dataclass(frozen=True)
class Loading:
    """One table of a database, and imports into it. `rows` of a file are dicts; None is a rejected row.

    A key that a row does not have is NULL, or with `keys_matter` absent.
    """

    database_url: str
    table: str = "customers"
    mode: Mode = Mode.INSERT_ONLY
    batch_rows: int = 1_000
    connections: int = 1
    keys_matter: bool = False
    job_id: str = field(default_factory=lambda: str(uuid4()))
    attempt: int = 1

    def execute(self, query: str | sql.Composed, given: Sequence[object] | None = None) -> list[tuple]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode() if isinstance(query, str) else query, given)
            return cursor.fetchall() if cursor.description else []

    def have(self, *rows: Row) -> None:
        """Put rows into the table, made long ago."""
        declared = tables.get(self.table)
        for row in rows:
            times = [name for name in ("created_at", "updated_at") if name in declared.column_names]
            dated = {**dict.fromkeys(times, OLD), **row}
            names = sql.SQL(", ").join(map(sql.Identifier, dated))
            values = sql.SQL(", ").join([sql.Placeholder()] * len(dated))
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
            self.execute(insert.format(sql.Identifier(self.table), names, values), list(dated.values()))

    def content(self, *names: str) -> list[tuple]:
        """The table's rows, sorted; ids as text."""
        columns = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) if name.endswith("id") else sql.Identifier(name)
            for name in names
        )
        query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(self.table))
        return sorted(self.execute(query), key=repr)

    def row(self, **where: object) -> Row:
        """One row of the table, whole."""
        ((name, value),) = where.items()
        query = sql.SQL("SELECT * FROM {} WHERE {} = %s").format(
            sql.Identifier(self.table), sql.Identifier(name)
        )
        with psycopg.connect(self.database_url) as connection:
            (found,) = connection.cursor(row_factory=dict_row).execute(query, [value]).fetchall()
        return found

    def anew(self, **given: Any) -> "Loading":
        """Another job, otherwise like this one."""
        return replace(self, job_id=str(uuid4()), attempt=1, **given)

    def start(self) -> "Loading":
        """A job in the ledger, taken by attempt 1."""
        self.execute(
            """
            INSERT INTO bulk.import_jobs
                (id, table_name, mode, status, attempt, bucket, key, etag, size_bytes, arrived_at)
            VALUES (%s, %s, %s, 'processing', %s, 'uploads', %s, '0', 0, now())
            """,
            [self.job_id, self.table, self.mode, self.attempt, self.job_id],
        )
        return self

    def take_over(self) -> "Loading":
        """Another worker has the job now; this is its view."""
        self.execute("UPDATE bulk.import_jobs SET attempt = attempt + 1 WHERE id = %s", [self.job_id])
        return replace(self, attempt=self.attempt + 1)

    @contextmanager
    def store(self, kind: type[PostgresRowStore] = PostgresRowStore) -> Iterator[PostgresRowStore]:
        with self.postgres() as postgres:
            declared = tables.get(self.table)
            yield kind(postgres, declared, self.job_id, self.attempt, connections=self.connections)

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """Closed when the block ends."""
        with closing(Postgres(self.database_url)) as postgres:
            yield postgres

    def load(self, *rows: Row | None, progress: Callable[[LoadCounts], None] | None = None) -> LoadCounts:
        """Load a file with these rows, as a new job unless it has been started."""
        if not self.execute("SELECT 1 FROM bulk.import_jobs WHERE id = %s", [self.job_id]):
            self.start()
        with self.store() as store:
            return self.load_with(store, rows, progress)

    def load_with(
        self,
        store: PostgresRowStore,
        rows: Sequence[Row | None],
        progress: Callable[[LoadCounts], None] | None = None,
    ) -> LoadCounts:
        return load(
            lambda: self.batches(rows),
            total_rows=len(rows),
            batch_rows=self.batch_rows,
            table=tables.get(self.table),
            mode=self.mode,
            columns=_columns(rows),
            store=store,
            ids=IdMaker(),
            progress=progress or (lambda counts: None),
        )

    def batches(self, rows: Sequence[Row | None], size: int = 3) -> Iterator[pa.RecordBatch]:
        """The good rows as typed batches, which are not cut where loading cuts."""
        good = [(number, row) for number, row in enumerate(rows, 1) if row is not None]
        declared = tables.get(self.table)
        for start in range(0, len(good), size):
            part = good[start : start + size]
            cells = [
                pa.array([row.get(name) for _, row in part], ARROW_TYPES[declared.column(name).type])
                for name in _columns(rows)
            ]
            numbers = pa.array([number for number, _ in part], pa.int64())
            lines = pa.array([number + 1 for number, _ in part], pa.int64())
            names = ["_row", "_line", *_columns(rows)]
            if self.keys_matter:
                absent = [absence.cell(declared, {*declared.column_names} - row.keys()) for _, row in part]
                cells.append(pa.array(absent, absence.cells(declared, 0, {}).type))
                names.append(absence.COLUMN)
            yield pa.RecordBatch.from_arrays([numbers, lines, *cells], names=names)

    def failures(self, *names: str) -> list[tuple]:
        """The failures that loading found, in row order."""
        with self.postgres() as postgres:
            found = [row for batch in load_failures(postgres, self.job_id) for row in batch.to_pylist()]
        return [tuple(failure[name] for name in names or ("row", "column", "code")) for failure in found]

    def batches_in(self) -> list[tuple]:
        return self.execute(
            """
            SELECT first_row, last_row, attempt, inserted, updated, unchanged, superseded, rejected
            FROM bulk.import_batches WHERE job_id = %s ORDER BY first_row
            """,
            [self.job_id],
        )


def counts(text: str) -> LoadCounts:
    """`"2 inserted, 1 rejected"`."""
    named = (part.split() for part in text.split(", ")) if text else ()
    return LoadCounts(**{name: int(count) for count, name in named})


def _columns(rows: Sequence[Row | None]) -> list[str]:
    return list(dict.fromkeys(name for row in rows if row is not None for name in row))
