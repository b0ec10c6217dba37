"""The table of import jobs, and the counts of their rows."""

from collections.abc import Sequence
from typing import Any

import psycopg

from bulk_pipeline.errors import JobGoneError
from bulk_pipeline.ledger.job_table import JobTable
from bulk_pipeline.ledger.jobs import ImportJob, Status, load_session
from bulk_pipeline.schema import Mode, read_format
from bulk_pipeline.stages.counts import Counts

IMPORTS = JobTable(
    ImportJob,
    {"mode": Mode, "status": Status, "upload_format": read_format},
    name="import_jobs",
    kind="import",
    noun="job",
    session=load_session,
    also_listed_by="""
        AND (
            %(file)s::text IS NULL
            OR coalesce(upload_name, regexp_replace(key, '^.*/', '')) ILIKE %(file)s
            OR (%(in_key)s AND key ILIKE %(file)s)
        )
    """,
)
job_query, one_job, all_jobs, changed_job = IMPORTS.query, IMPORTS.one, IMPORTS.all, IMPORTS.changed
locked_job = IMPORTS.locked


def counts_of(connection: psycopg.Connection, job_ids: Sequence[str]) -> dict[str, Counts]:
    """Return the counts of each job, sums over its committed batches. Raises `JobGoneError` if a job is missing."""
    rows = connection.execute(_COUNTS, {"ids": list(job_ids)}).fetchall()
    counts = {str(job_id): Counts(*numbers) for job_id, *numbers in rows}
    if missing := [job_id for job_id in job_ids if job_id not in counts]:
        raise JobGoneError(*missing)
    return counts


def file_filter(file: str | None) -> dict[str, Any]:
    """Return the values of the conditions on a file's name, or with `/` in it on its key; none without a name.

    `file`: a part of the name, or the name with `*` and `?` in it.
    """
    return {"file": _pattern(file) if file else None, "in_key": "/" in (file or "")}


def _pattern(file: str) -> str:
    """Return the LIKE pattern for a part of a name, or for a name with `*` and `?` in it."""
    literal = file.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if "*" in literal or "?" in literal:
        return literal.replace("*", "%").replace("?", "_")
    return f"%{literal}%"


_COUNTS = """
    SELECT
        job.id, counts.inserted, counts.updated, counts.unchanged, counts.superseded, counts.rejected,
        job.total_rows, counts.rejected_again, counts.fixed, counts.open
    FROM bulk.import_job_fixes AS counts
    JOIN bulk.import_jobs AS job ON job.id = counts.job_id
    WHERE counts.job_id = ANY (%(ids)s::uuid[])
"""
