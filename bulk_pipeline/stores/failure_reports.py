"""The failures of a finished job, as its errors.ndjson has them, some at a time."""

from dataclasses import dataclass

import orjson

from bulk_pipeline.errors import NotFoundError, SelectionError
from bulk_pipeline.stores.jobs import ImportJob
from bulk_pipeline.stores.objects import ObjectStore

NDJSON = "errors.ndjson"
CSV = "errors.csv"


@dataclass(frozen=True)
class ToldFailure:
    """One line of errors.ndjson; see `stages.failures`."""

    row: int
    line: int | None
    column: str | None
    code: str
    value: str | None
    message: str


@dataclass(frozen=True)
class FailurePage:
    """`next`: the cursor behind the last of them; None at the end."""

    failures: list[ToldFailure]
    next: str | None


class FailureReports:
    """Reads from the bucket `reports`."""

    def __init__(self, objects: ObjectStore, reports: str) -> None:
        self._objects = objects
        self._reports = reports

    def page(self, job: ImportJob, *, limit: int, cursor: str | None = None) -> FailurePage:
        """Failures in row order. A cursor is where in the report to go on, so that no page costs more than another.

        `SelectionError` for a cursor that no page has given. None are left when the report is past its retention.
        """
        start = _position(cursor)
        key = job.reports.get(NDJSON)
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
                    raise SelectionError(f"cursor {cursor!r}: use next_cursor of the page before")
            found = list[ToldFailure]()
            position = start
            while len(found) < limit and (line := file.readline()):
                found.append(ToldFailure(**orjson.loads(line)))
                position += len(line)
            return FailurePage(found, str(position) if file.peek(1) else None)

    def key(self, job: ImportJob, name: str) -> str:
        """Where a report lies in the bucket. `NotFoundError` if the job has none."""
        if name not in job.reports:
            raise NotFoundError(f"job {job.id} has no report: no row was rejected, or the report has expired")
        return job.reports[name]


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
        raise SelectionError(f"cursor {cursor!r}: use next_cursor of the page before")
    return int(cursor)
