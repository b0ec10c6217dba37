"""The table `bulk.import_fixes`: rejected rows that a later job imported again, from a corrected file.

A row is rejected by one job, its parent, and stays open there until a job has written it into the table. A row that is
rejected again is not counted twice: it is still its parent's.
"""

import numpy as np
import psycopg

from bulk_pipeline.stages.origins import Origins


def record(
    connection: psycopg.Connection, job_id: str, first_row: int, fixed: Origins, refused: Origins
) -> None:
    """Add to a batch's row: origins of rows that are in the table now, and of rows that were rejected again.

    Must be called in the transaction that writes the rows. A repeated origin takes the place of what was recorded.
    """
    fixed_rows, refused_rows = fixed.by_job(), refused.by_job()
    parents = sorted(fixed_rows.keys() | refused_rows.keys())
    if not parents:
        return
    none = np.empty(0, np.int64)
    connection.execute(
        _RECORD,
        {
            "job_id": job_id,
            "first_row": first_row,
            "parents": parents,
            "fixed": [_multirange(fixed_rows.get(parent, none)) for parent in parents],
            "refused": [_multirange(refused_rows.get(parent, none)) for parent in parents],
        },
    )


def _multirange(rows: np.ndarray) -> str:
    """Return a set of rows as Postgres writes a multirange."""
    if not len(rows):
        return "{}"
    breaks = np.flatnonzero(np.diff(rows) > 1)
    firsts, lasts = rows[[0, *(breaks + 1)]], rows[[*breaks, -1]]
    return "{" + ",".join(f"[{first},{last}]" for first, last in zip(firsts, lasts, strict=True)) + "}"


_RECORD = """
    INSERT INTO bulk.import_fixes AS known (job_id, first_row, parent_id, fixed, refused)
    SELECT %(job_id)s, %(first_row)s, parent_id, fixed::int8multirange, refused::int8multirange
    FROM unnest(%(parents)s::uuid[], %(fixed)s::text[], %(refused)s::text[]) AS new (parent_id, fixed, refused)
    ON CONFLICT (job_id, first_row, parent_id) DO UPDATE
    SET fixed = known.fixed - excluded.refused + excluded.fixed,
        refused = known.refused - excluded.fixed + excluded.refused
"""
