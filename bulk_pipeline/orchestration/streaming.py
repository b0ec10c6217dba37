"""A table straight to whoever asks: no run, no job, nothing in the bucket. One snapshot, one file."""

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.stages.export.parts import Part, Progress, write_file
from bulk_pipeline.stages.export.request import ExportRequest, Kind
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stores.snapshots import snapshot

_NAME = "bulk-pipeline stream"


def stream_export(
    database_url: str,
    request: ExportRequest,
    sink: Sink,
    *,
    session: str = _NAME,
    progress: Progress = lambda rows, size: None,
) -> Part:
    """Write what is asked for to `sink`, beginning as soon as there is a first row.

    `session`: what the database calls it, for whoever may have to end it. `progress`: see `write_file`.

    Raises `SelectionError` and `UnknownTableError` before anything is written; `StoreUnavailableError`,
    `StoreRefusedError` and `UnwritableValueError` also on the way: what has been written by then is not complete.
    """
    asked = request.checked()
    if asked.kind is not Kind.FULL:
        raise SelectionError(
            "an incremental export follows the one before it, so it needs a job in the ledger"
        )
    with snapshot(database_url, session) as taken:
        return write_file(taken.rows(asked.selection), asked.layout, sink, progress)
