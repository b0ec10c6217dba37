"""Streams an export directly to the caller as one file of one snapshot, without a job or a file in the bucket."""

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.rows.snapshots import snapshot
from bulk_pipeline.stages.export.parts import Part, Progress, write_file
from bulk_pipeline.stages.export.request import ExportRequest, Kind
from bulk_pipeline.stages.sink import Sink

_NAME = "bulk-pipeline stream"


def stream_export(
    database_url: str,
    request: ExportRequest,
    sink: Sink,
    *,
    session: str = _NAME,
    progress: Progress = lambda rows, size: None,
) -> Part:
    """Write the rows of the request to `sink`, starting with the first row that the database returns.

    `session` is the name of the database session, by which an operator can end it. `progress`: see `write_file`.

    Raises `SelectionError` and `UnknownTableError` before anything is written. `StoreUnavailableError`,
    `StoreRefusedError` and `UnwritableValueError` can also be raised later, when the output is incomplete.
    """
    if request.kind is not Kind.FULL:
        raise SelectionError("an incremental export continues the previous one, so it must run as a job")
    with snapshot(database_url, session) as source:
        return write_file(source.rows(request.selection), request.layout, sink, progress)
