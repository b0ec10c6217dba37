"""Reads the failures of a finished job from its errors.ndjson, page by page."""

from dataclasses import dataclass

import orjson

from bulk_pipeline.errors import NotFoundError, SelectionError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.stages.report_names import ERRORS_NDJSON


@dataclass(frozen=True)
class ReportLine:
    """One line of errors.ndjson; see `stages.failures`."""

    row: int
    line: int | None
    column: str | None
    code: str
    value: str | None
    message: str


@dataclass(frozen=True)
class FailurePage:
    """Some failures, and the cursor of the next page, None at the end."""

    failures: list[ReportLine]
    next: str | None


class FailureReports:
    """The reports in the bucket `reports`."""

    def __init__(self, objects: ObjectStore, reports: str) -> None:
        self._objects = objects
        self._reports = reports

    def page(self, job: ImportJob, *, limit: int, cursor: str | None = None) -> FailurePage:
        """Return failures in row order; none if the report has expired.

        A cursor is a position in the report, so that all pages cost the same. Raises `SelectionError` for a cursor that
        is not from a page.
        """
        start = _position(cursor)
        key = job.reports.get(ERRORS_NDJSON)
        if key is None:
            return FailurePage([], None)
        try:
            file = self._objects.open(self._reports, key)
        except NotFoundError:
            return FailurePage([], None)
        with file:
            if start:
                file.seek(start - 1)
                if file.read(1) != b"\n":
                    raise SelectionError(
                        f"cursor {cursor!r} is not valid: use next_cursor of the previous page"
                    )
            failures = list[ReportLine]()
            position = start
            while len(failures) < limit and (line := file.readline()):
                failures.append(ReportLine(**orjson.loads(line)))
                position += len(line)
            return FailurePage(failures, str(position) if file.peek(1) else None)

    def key(self, job: ImportJob, name: str) -> str:
        """Return the key of a report. Raises `NotFoundError` if the job has no such report."""
        if name not in job.reports:
            raise NotFoundError(f"job {job.id} has no report: no row was rejected, or the report has expired")
        return job.reports[name]


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
        raise SelectionError(f"cursor {cursor!r} is not valid: use next_cursor of the previous page")
    return int(cursor)
