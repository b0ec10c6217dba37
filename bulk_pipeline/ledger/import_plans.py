"""The table `bulk.import_plans`: decisions about a job's rows that its later attempts need.

In `upsert`, these are the decisions about rows that depend on each other, stored before any row is written. In
`insert_only`, the first part is the rows whose keys the table had before. Other parts are rows that were settled again.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import psycopg
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import union
from bulk_pipeline.stages.load.resolve import Decision, Fate

_DECISIONS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("rekeys", pa.bool_(), nullable=False),
        pa.field("differs", pa.bool_(), nullable=False),
        pa.field("carried", pa.map_(pa.string(), pa.int64()), nullable=False),
        pa.field("by", pa.int64()),
    ]
)
_KNOWN_ROWS = pa.schema([pa.field("row", pa.int64(), nullable=False)])
_REOPENED_ROWS = pa.schema([pa.field("reopened", pa.int64(), nullable=False)])
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def kept(connection: psycopg.Connection, job_id: str) -> list[Decision]:
    plans = (plan for plan in _plans(connection, job_id) if "fate" in plan.column_names)
    known = (  # older plans have ids, and do not say which row supersedes another
        plan.select([name for name in _DECISIONS.names if name in plan.column_names]) for plan in plans
    )
    rows = [row for plan in known for row in plan.to_pylist()]
    return [Decision(**{**row, "fate": Fate(row["fate"]), "carried": tuple(row["carried"])}) for row in rows]


def keep(connection: psycopg.Connection, job_id: str, decisions: Sequence[Decision]) -> None:
    """Add decisions to those of the job."""
    columns = {field.name: [getattr(decision, field.name) for decision in decisions] for field in _DECISIONS}
    _add(connection, job_id, pa.table(columns, schema=_DECISIONS))


def known_rows(connection: psycopg.Connection, job_id: str) -> np.ndarray | None:
    """Return the stored numbers of rows, or None if no set, not even an empty one, has been stored."""
    part = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s AND part = 0", [job_id]
    ).fetchone()
    return pa.ipc.open_stream(part[0]).read_all()["row"].to_numpy() if part else None


def keep_known_rows(connection: psycopg.Connection, job_id: str, numbers: np.ndarray) -> None:
    _add(connection, job_id, pa.table({"row": numbers}, schema=_KNOWN_ROWS))


def reopened_rows(connection: psycopg.Connection, job_id: str) -> np.ndarray:
    """Return the numbers of rows that were settled again, each once."""
    (name,) = _REOPENED_ROWS.names
    plans = _plans(connection, job_id)
    return union(plan[name].to_numpy() for plan in plans if name in plan.column_names)


def keep_reopened_rows(connection: psycopg.Connection, job_id: str, numbers: np.ndarray) -> None:
    """Add numbers of rows that were settled again."""
    _add(connection, job_id, pa.table({"reopened": numbers}, schema=_REOPENED_ROWS))


def _plans(connection: psycopg.Connection, job_id: str) -> Iterator[pa.Table]:
    parts = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s ORDER BY part", [job_id]
    )
    for (stream,) in parts:
        yield pa.ipc.open_stream(stream).read_all()


def _add(connection: psycopg.Connection, job_id: str, rows: pa.Table) -> None:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema, options=_OPTIONS) as writer:
        writer.write_table(rows)
    connection.execute(
        """
        INSERT INTO bulk.import_plans (job_id, part, decisions)
        SELECT %(job_id)s, count(*), %(decisions)s FROM bulk.import_plans WHERE job_id = %(job_id)s
        """,
        {"job_id": job_id, "decisions": out.getvalue().to_pybytes()},
    )
