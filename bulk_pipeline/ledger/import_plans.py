"""The table `bulk.import_plans`: decisions about a job's rows that its later attempts need.

In `upsert`, these are the decisions about rows that depend on each other, stored before any row is written. In
`insert_only`, they are the rows whose keys the table had before (part 0), and the rows that were settled again (the
other parts).
"""

from collections.abc import Sequence

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
    ]
)
_KNOWN_ROWS = pa.schema([pa.field("row", pa.int64(), nullable=False)])
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def kept(connection: psycopg.Connection, job_id: str) -> list[Decision]:
    parts = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s ORDER BY part", [job_id]
    )
    plans = (pa.ipc.open_stream(stream).read_all() for (stream,) in parts)
    plans = (plan.select(_DECISIONS.names) for plan in plans)  # older plans have ids
    rows = [row for plan in plans for row in plan.to_pylist()]
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
    parts = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s AND part > 0", [job_id]
    )
    return union(pa.ipc.open_stream(stream).read_all()["row"].to_numpy() for (stream,) in parts)


def keep_reopened_rows(connection: psycopg.Connection, job_id: str, numbers: np.ndarray) -> None:
    """Add numbers of rows that were settled again. Call `keep_known_rows` first, which stores part 0."""
    _add(connection, job_id, pa.table({"row": numbers}, schema=_KNOWN_ROWS))


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
