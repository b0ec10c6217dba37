"""`bulk.import_plans`: what later attempts at a job must know of the decisions about its rows.

In `upsert` decisions about rows that depend on each other, made before the first one is written. In `insert_only` the
rows whose keys the table had before (part 0), and those that were settled again (the other parts).
"""

from collections.abc import Sequence

import numpy as np
import psycopg
import pyarrow as pa

from bulk_pipeline.stages.load.resolve import Decision, Fate
from bulk_pipeline.stages.sorted_sets import union

_DECISIONS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("rekeys", pa.bool_(), nullable=False),
        pa.field("differs", pa.bool_(), nullable=False),
        pa.field("carried", pa.map_(pa.string(), pa.int64()), nullable=False),
    ]
)
_KNOWN_ROWS = pa.schema([pa.field("row", pa.int64(), nullable=False)])
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def kept(connection: psycopg.Connection, job_id: str) -> list[Decision]:
    found = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s ORDER BY part", [job_id]
    )
    rows = [row for (stream,) in found for row in pa.ipc.open_stream(stream).read_all().to_pylist()]
    return [Decision(**{**row, "fate": Fate(row["fate"]), "carried": tuple(row["carried"])}) for row in rows]


def keep(connection: psycopg.Connection, job_id: str, decisions: Sequence[Decision]) -> None:
    """Add decisions to those the job has."""
    columns = {field.name: [getattr(decision, field.name) for decision in decisions] for field in _DECISIONS}
    _add(connection, job_id, pa.table(columns, schema=_DECISIONS))


def known_rows(connection: psycopg.Connection, job_id: str) -> np.ndarray | None:
    """The numbers of rows that were kept; None if none were, not even an empty set."""
    found = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s AND part = 0", [job_id]
    ).fetchone()
    return pa.ipc.open_stream(found[0]).read_all()["row"].to_numpy() if found else None


def keep_known_rows(connection: psycopg.Connection, job_id: str, numbers: np.ndarray) -> None:
    _add(connection, job_id, pa.table({"row": numbers}, schema=_KNOWN_ROWS))


def reopened_rows(connection: psycopg.Connection, job_id: str) -> np.ndarray:
    """The numbers of rows that were settled again, each once."""
    found = connection.execute(
        "SELECT decisions FROM bulk.import_plans WHERE job_id = %s AND part > 0", [job_id]
    )
    return union(pa.ipc.open_stream(stream).read_all()["row"].to_numpy() for (stream,) in found)


def keep_reopened_rows(connection: psycopg.Connection, job_id: str, numbers: np.ndarray) -> None:
    """Add to them; the rows with keys of the table come first, as `keep_known_rows` is called before."""
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
