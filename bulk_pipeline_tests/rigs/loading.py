"""A table, a job in progress, and the rows loaded into it, for the tests of `load`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import uuid4

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.ledger.import_batches import load_failures
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.names import identifier
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load import LoadContext, load

Row: TypeAlias = Mapping[str, Any]
OLD = datetime(2025, 1, 1, tzinfo=UTC)


def uid(number: int) -> str:
    """Return an id that is easy to read."""
    return f"00000000-0000-7000-8000-{number:012d}"


@dataclass(frozen=True)
class Loading:
    """One table of a database, and imports into it. `rows` of a file are dicts; None is a rejected row.

    A key that a row does not have is NULL, or with `keys_matter` absent.
    """

    database_url: str
    table: str | Table = "customers"
    mode: Mode = Mode.INSERT_ONLY
    batch_rows: int = 1_000
    connections: int = 1
    keys_matter: bool = False
    job_id: str = field(default_factory=lambda: str(uuid4()))
    attempt: int = 1

    @property
    def declared(self) -> Table:
        return self.table if isinstance(self.table, Table) else tables.get(self.table)

    def execute(self, query: str | sql.Composed, given: Sequence[object] | None = None) -> list[tuple]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode() if isinstance(query, str) else query, given)
            return cursor.fetchall() if cursor.description else []

    def have(self, *rows: Row) -> None:
        """Put rows into the table, made long ago."""
        for row in rows:
            times = [name for name in ("created_at", "updated_at") if name in self.declared.column_names]
            dated = {**dict.fromkeys(times, OLD), **row}
            names = sql.SQL(", ").join(map(sql.Identifier, dated))
            values = sql.SQL(", ").join(map(sql.Literal, dated.values()))
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
            self.execute(insert.format(identifier(self.declared), names, values))

    def content(self, *names: str) -> list[tuple]:
        """Return the table's rows, sorted, with ids as text."""
        columns = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) if name.endswith("id") else sql.Identifier(name)
            for name in names
        )
        query = sql.SQL("SELECT {} FROM {}").format(columns, identifier(self.declared))
        return sorted(self.execute(query), key=repr)

    def row(self, **where: object) -> Row:
        """Return one row of the table with all columns."""
        ((name, value),) = where.items()
        query = sql.SQL("SELECT * FROM {} WHERE {} = %s").format(
            identifier(self.declared), sql.Identifier(name)
        )
        with psycopg.connect(self.database_url) as connection:
            (result,) = connection.cursor(row_factory=dict_row).execute(query, [value]).fetchall()
        return result

    def anew(self, **kwargs: Any) -> "Loading":
        """Return the same rig with another job."""
        return replace(self, job_id=str(uuid4()), attempt=1, **kwargs)

    def start(self) -> "Loading":
        """Insert a job into the ledger, taken by attempt 1."""
        self.execute(
            """
            INSERT INTO bulk.import_jobs
                (id, table_name, mode, status, attempt, bucket, key, etag, size_bytes, arrived_at)
            VALUES (%s, %s, %s, 'processing', %s, 'uploads', %s, '0', 0, now())
            """,
            [self.job_id, self.declared.upload_name, self.mode, self.attempt, self.job_id],
        )
        return self

    def take_over(self) -> "Loading":
        """Return the rig of another worker, which has taken over the job."""
        self.execute("UPDATE bulk.import_jobs SET attempt = attempt + 1 WHERE id = %s", [self.job_id])
        return replace(self, attempt=self.attempt + 1)

    @contextmanager
    def store(self, kind: type[PostgresRowStore] = PostgresRowStore) -> Iterator[PostgresRowStore]:
        with self.postgres() as postgres:
            yield kind(postgres, self.declared, self.job_id, self.attempt, connections=self.connections)

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """Yield the database, closed at the end of the block."""
        with closing(Postgres(self.database_url)) as postgres:
            yield postgres

    def load(self, *rows: Row | None, progress: Callable[[LoadCounts], None] | None = None) -> LoadCounts:
        """Load a file with these rows, as a new job unless one was started."""
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
            LoadContext(self.declared, self.mode, store, IdMaker()),
            columns=_columns(rows),
            total_rows=len(rows),
            batch_rows=self.batch_rows,
            progress=progress or (lambda counts: None),
        )

    def batches(self, rows: Sequence[Row | None], size: int = 3) -> Iterator[pa.RecordBatch]:
        """Return the good rows as typed batches, cut at other places than in loading."""
        good = [(number, row) for number, row in enumerate(rows, 1) if row is not None]
        declared, columns = self.declared, _columns(rows)
        for start in range(0, len(good), size):
            part = good[start : start + size]
            cells = [
                _typed([row.get(name) for _, row in part], codec_of(declared.column(name)).arrow)
                for name in columns
            ]
            numbers = pa.array([number for number, _ in part], pa.int64())
            lines = pa.array([number + 1 for number, _ in part], pa.int64())
            names = ["_row", "_line", *columns]
            if self.keys_matter:
                absent = [absence.cell(declared, {*declared.column_names} - row.keys()) for _, row in part]
                cells.append(pa.array(absent, absence.cells(declared, 0, {}).type))
                names.append(absence.COLUMN)
            yield pa.RecordBatch.from_arrays([numbers, lines, *cells], names=names)

    def failures(self, *names: str) -> list[tuple]:
        """Return the failures of loading, in row order."""
        with self.postgres() as postgres:
            result = [row for batch in load_failures(postgres, self.job_id) for row in batch.to_pylist()]
        return [tuple(failure[name] for name in names or ("row", "column", "code")) for failure in result]

    def batches_in(self) -> list[tuple]:
        return self.execute(
            """
            SELECT first_row, last_row, attempt, inserted, updated, unchanged, superseded, rejected
            FROM bulk.import_batches WHERE job_id = %s ORDER BY first_row
            """,
            [self.job_id],
        )


def counts(text: str) -> LoadCounts:
    """Return the counts as text: `"2 inserted, 1 rejected"`."""
    named = (part.split() for part in text.split(", ")) if text else ()
    return LoadCounts(**{name: int(count) for count, name in named})


def _typed(cells: list[Any], arrow: pa.DataType) -> pa.Array:
    """Return the cells as validation gives them: a number without a precision is a text."""
    if pa.types.is_string(arrow):
        cells = [str(cell) if isinstance(cell, Decimal) else cell for cell in cells]
    return pa.array(cells, arrow)


def _columns(rows: Sequence[Row | None]) -> list[str]:
    return list(dict.fromkeys(name for row in rows if row is not None for name in row))
