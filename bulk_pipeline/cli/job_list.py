"""Lists of jobs for people: a line per job that fits the terminal, with local times and short ids; errors below."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bulk_pipeline.cli import output
from bulk_pipeline.ledger.job_ids import short_id

_GRID = (
    "id",
    "table",
    "mode",
    "status",
    "file",
    "arrived",
    "finished",
    "total",
    "inserted",
    "updated",
    "unchanged",
    "superseded",
    "rejected",
    "seconds",
)
_DISPENSABLE = (
    *("superseded", "unchanged", "mode", "seconds", "updated", "finished", "table", "inserted", "total"),
    "arrived",
)
_EXPORT_GRID = (
    *("id", "table", "kind", "format", "compression", "status", "rows", "bytes", "seconds", "created"),
    "finished",
)
_EXPORT_DISPENSABLE = ("compression", "kind", "finished", "seconds", "bytes", "created")


def show_imports(documents: Sequence[dict[str, Any]]) -> None:
    """Print one line per import. `documents`: as `jobs.describe` returns them."""
    rows = [
        document | {"arrived": _time(document["arrived_at"]), "finished": _time(document["finished_at"])}
        for document in _with_short_ids(documents)
    ]
    output.print_grid(_GRID, [[row[name] for name in _GRID] for row in rows], dispensable=_DISPENSABLE)


def show_exports(documents: Sequence[dict[str, Any]]) -> None:
    """Print one line per export. `documents`: as `export_jobs.describe` returns them."""
    rows = [
        document | {"created": _time(document["created_at"]), "finished": _time(document["finished_at"])}
        for document in _with_short_ids(documents)
    ]
    output.print_grid(
        _EXPORT_GRID,
        [[row[name] for name in _EXPORT_GRID] for row in rows],
        dispensable=_EXPORT_DISPENSABLE,
    )


def show_errors(documents: Sequence[dict[str, Any]]) -> None:
    """Print a line for each job with an error, such as an unreadable file or an outage."""
    for document in _with_short_ids(documents):
        if document["error"]:
            output.say(f"{document['id']} {document.get('file') or document['table']}: {document['error']}")


def _with_short_ids(documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents, on a terminal with ids short enough to type."""
    if not output.is_terminal():
        return list(documents)
    return [document | {"id": short_id(document["id"])} for document in documents]


def _time(time: datetime | None) -> str:
    return output.local_time(time, datetime.now(UTC), short=output.is_terminal())
