"""Lists of jobs for people: one line a job that fits the terminal, with times and short ids; errors below it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bulk_pipeline.cli import output, times
from bulk_pipeline.stores.job_ids import short_id

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
_DISPENSABLE_OF_EXPORTS = ("compression", "kind", "finished", "seconds", "bytes", "created")


def show_imports(documents: Sequence[dict[str, Any]]) -> None:
    """One line per import, as `jobs.describe` gives it."""
    rows = [
        document
        | {
            "file": document["file"],
            "arrived": _time(document["arrived_at"]),
            "finished": _time(document["finished_at"]),
        }
        for document in _with_ids(documents)
    ]
    output.print_grid(_GRID, [[row[name] for name in _GRID] for row in rows], dispensable=_DISPENSABLE)


def show_exports(documents: Sequence[dict[str, Any]]) -> None:
    """One line per export, as `export_jobs.describe` gives it."""
    rows = [
        document | {"created": _time(document["created_at"]), "finished": _time(document["finished_at"])}
        for document in _with_ids(documents)
    ]
    output.print_grid(
        _EXPORT_GRID,
        [[row[name] for name in _EXPORT_GRID] for row in rows],
        dispensable=_DISPENSABLE_OF_EXPORTS,
    )


def show_errors(documents: Sequence[dict[str, Any]]) -> None:
    """A line for each job that has an error of its own: a file nobody can read, say, or an outage."""
    for document in _with_ids(documents):
        if document["error"]:
            output.say(f"{document['id']} {document.get('file') or document['table']}: {document['error']}")


def _with_ids(documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents, on a terminal with ids as short as people can copy."""
    if not output.is_terminal():
        return list(documents)
    return [document | {"id": short_id(document["id"])} for document in documents]


def _time(time: datetime | None) -> str:
    return times.shown(time, datetime.now(UTC), short=output.is_terminal())
