"""Finds jobs by the beginning or the end of their id, as people copy it from a list, or the newest as `last`.

Lists show the last digits, since ids of jobs from the same minute begin with the same eight digits.
"""

import re
from dataclasses import dataclass

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.printable import printable

LAST = "last"
"""The word for the newest job in place of an id."""
LEAST_DIGITS = 4
"""Fewest digits of an id that can be given."""
_DIGITS = 32
_SHORT_DIGITS = 8
_PART = re.compile(f"[0-9a-f]{{{LEAST_DIGITS},{_DIGITS}}}")
_MOST_SHOWN = 5


class AmbiguousIdError(NotFoundError):
    """Several jobs have an id with this beginning or end."""


@dataclass(frozen=True)
class JobId:
    """The id of an import or an export."""

    id: str
    is_export: bool


@dataclass(frozen=True)
class _Candidate:
    job: JobId
    status: str
    name: str

    def __str__(self) -> str:
        kind = "export of " if self.job.is_export else ""
        return f"{self.job.id} ({kind}{printable(self.name)}, {self.status})"


class JobIds:
    """The ids of one database's jobs."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def find(self, part: str, *, imports: bool = True, exports: bool = True) -> JobId:
        """Return the only job whose id begins or ends with `part`, with or without hyphens, in upper or lower case; the
        newest for `last`.

        Raises `NotFoundError`, and `AmbiguousIdError` with some of the matching jobs.
        """
        kind = "job" if imports else "export"
        if part == LAST:
            return self._newest(kind, imports=imports, exports=exports)
        digits = part.strip().strip("….").replace("-", "").lower()
        if not _PART.fullmatch(digits):
            raise NotFoundError(
                f"no {kind} {part!r}: give its id, or {LEAST_DIGITS} characters or more of the id's beginning or end, "
                f"or {LAST} for the newest"
            )
        request = {"digits": digits, "imports": imports, "exports": exports, "limit": _MOST_SHOWN + 1}
        with self._postgres.transaction() as connection:
            rows = connection.execute(_FIND, request).fetchall()
        candidates = [_Candidate(JobId(str(job_id), is_export), *rest) for job_id, is_export, *rest in rows]
        match candidates:
            case []:
                raise NotFoundError(f"no {kind} {part}")
            case [only]:
                return only.job
            case _:
                shown = "; ".join(str(candidate) for candidate in candidates[:_MOST_SHOWN])
                more = "; and more" if len(candidates) > _MOST_SHOWN else ""
                raise AmbiguousIdError(f"several {kind}s fit {part!r}, give more of the id: {shown}{more}")

    def _newest(self, kind: str, *, imports: bool, exports: bool) -> JobId:
        with self._postgres.transaction() as connection:
            row = connection.execute(_NEWEST, {"imports": imports, "exports": exports}).fetchone()
        if row is None:
            raise NotFoundError(f"there is no {kind} yet")
        job_id, is_export = row
        return JobId(str(job_id), is_export)


def short_id(job_id: str) -> str:
    """Return the last digits of an id, which differ between jobs."""
    return job_id[-_SHORT_DIGITS:]


_FIND = """
    SELECT id, is_export, status, name
    FROM (
        SELECT id, false AS is_export, status, created_at,
            coalesce(upload_name, regexp_replace(key, '^.*/', '')) AS name
        FROM bulk.import_jobs
        WHERE %(imports)s
        UNION ALL
        SELECT id, true, status, created_at, table_name
        FROM bulk.export_jobs
        WHERE %(exports)s
    ) AS job
    WHERE starts_with(replace(id::text, '-', ''), %(digits)s)
       OR right(replace(id::text, '-', ''), length(%(digits)s)) = %(digits)s
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
"""

_NEWEST = """
    SELECT id, is_export
    FROM (
        (
            SELECT id, false AS is_export, created_at
            FROM bulk.import_jobs
            WHERE %(imports)s
            ORDER BY created_at DESC, id DESC
            LIMIT 1
        )
        UNION ALL
        (
            SELECT id, true, created_at
            FROM bulk.export_jobs
            WHERE %(exports)s
            ORDER BY created_at DESC, id DESC
            LIMIT 1
        )
    ) AS job
    ORDER BY created_at DESC, id DESC
    LIMIT 1
"""
