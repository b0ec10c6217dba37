"""`watch`: show open imports, their progress and speed, until Ctrl-C."""

import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, stores_of
from bulk_pipeline.ledger.job_ids import short_id
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.ledger.visibility import VisibleImport
from bulk_pipeline.printable import printable
from bulk_pipeline.rights import EVERYBODY
from bulk_pipeline.stages.pace import Pace, duration, pace_of

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.container import Stores

_OPEN = (Status.PENDING, Status.PROCESSING)
_MOST_JOBS = 200
_SAMPLES = 10
"""Looks over which the speed of a job is measured."""
_NAME_LENGTH = 20


@dataclass
class _Progress:
    """The newest state of a job, and the times and row counts of the last looks at it."""

    import_: VisibleImport
    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    @property
    def pace(self) -> Pace:
        (start, before), (end, after) = self.samples[0], self.samples[-1]
        counts = self.import_.counts
        return pace_of(counts.processed, counts.total, rows=after - before, seconds=end - start)

    def describe(self) -> dict[str, Any]:
        """Return the state as plain values, as `--json` prints it."""
        job, counts, pace = self.import_.job, self.import_.counts, self.pace
        rate, left = pace.rows_per_second, pace.seconds_left
        return {
            "id": job.id,
            "table": job.table,
            "file": job.file_name,
            "status": job.status,
            "total": counts.total,
            "processed": counts.processed,
            "rejected": counts.rejected,
            "percent": pace.percent,
            "rows_per_second": None if rate is None else round(rate),
            "seconds_left": None if left is None else round(left, 1),
            "error": job.error,
        }


def watch(
    table: Annotated[str | None, typer.Option(help="Only imports into this table.")] = None,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two updates.")] = 1.0,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when no import is open.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON document on a line of its own for each change.")
    ] = False,
) -> None:
    """Show open imports, their progress and speed, until Ctrl-C. Without a terminal, print a line for each change.

    Example: bulk-pipeline watch --table users
    """
    stores, known = stores_of(home), dict[str, _Progress]()
    show = _Screen() if output.is_terminal() and not as_json else _Lines(as_json)
    with suppress(KeyboardInterrupt), show:
        while True:
            _look(stores, table, known)
            show.update(known.values())
            for job_id in [job_id for job_id, of in known.items() if of.import_.job.status.is_final]:
                del known[job_id]
            if until_idle and not known:
                return
            sleep(every)


def _look(stores: "Stores", table: str | None, known: dict[str, _Progress]) -> None:
    """Update `known` with the open imports, in order of arrival, and with those that have ended since the last look."""
    imports = stores.visible_imports
    found = {
        import_.job.id: import_
        for import_ in imports.newest(EVERYBODY, limit=_MOST_JOBS, table=table, statuses=_OPEN)
    }
    found |= imports.all_of([job_id for job_id in known if job_id not in found])
    for job_id in [job_id for job_id in known if job_id not in found]:
        del known[job_id]  # its row is gone from the ledger
    for job_id, import_ in sorted(found.items()):
        progress = known.setdefault(job_id, _Progress(import_))
        progress.import_ = import_
        progress.samples.append((monotonic(), import_.counts.processed))


class _Lines:
    """Prints a line for each change of a job."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._last: dict[str, tuple[object, ...]] = {}

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, jobs: Iterable[_Progress]) -> None:
        for progress in jobs:
            document = progress.describe()
            state = tuple(document[name] for name in ("status", "total", "processed", "rejected", "error"))
            if self._last.get(document["id"]) == state:
                continue
            self._last[document["id"]] = state
            if self._as_json:
                sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
            else:
                output.say(_line(document))
            sys.stdout.flush()


class _Screen:
    """Shows a table of open jobs that changes in place on a terminal; a line stays of each that has ended."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> "_Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, jobs: Iterable[_Progress]) -> None:
        documents = [progress.describe() for progress in jobs]
        for document in documents:
            if document["status"].is_final:
                self._console.print(
                    Text(printable(_line(document)), style=output.status_style(document["status"]))
                )
        open_jobs = [document for document in documents if not document["status"].is_final]
        self._live.update(_grid(open_jobs), refresh=True)


def _grid(documents: list[dict[str, Any]]) -> Grid | Text:
    if not documents:
        return Text("no import is open; Ctrl-C ends", style="dim")
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "table", "file", "status", "done", "rows/s", "left"):
        grid.add_column(name, justify="right" if name in ("done", "rows/s", "left") else "left", no_wrap=True)
    for document in documents:
        file = printable(document["file"])
        grid.add_row(
            short_id(document["id"]),
            Text(printable(document["table"])),
            Text(file if len(file) <= _NAME_LENGTH else f"{file[: _NAME_LENGTH - 1]}…"),
            Text(document["status"], style=output.status_style(document["status"])),
            _share(document),
            output.text(document["rows_per_second"]),
            "" if document["seconds_left"] is None else duration(document["seconds_left"]),
        )
    return grid


def _line(document: dict[str, Any]) -> str:
    line = f"{document['file']}: {document['status']}"
    if document["total"]:
        line += f", {document['processed']:,} of {document['total']:,} rows ({_share(document)})"
    if document["rejected"]:
        line += f", {document['rejected']:,} rejected"
    if (
        document["rows_per_second"]
        and document["seconds_left"] is not None
        and not document["status"].is_final
    ):
        line += f", {document['rows_per_second']:,} rows/s, {duration(document['seconds_left'])} left"
    return f"{line}: {document['error']}" if document["error"] else line


def _share(document: dict[str, Any]) -> str:
    return f"{document['percent']}%" if document["total"] else ""
