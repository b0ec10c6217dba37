"""`open`: list the rejected rows that no later import has loaded."""

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.ledger.job_ids import short_id
from bulk_pipeline.ledger.rejected_rows import OpenRows

_GRID = ("id", "table", "file", "finished", "rejected", "fixed", "open")
_DISPENSABLE = ("finished", "fixed", "rejected")


def show_open(
    table: Annotated[str | None, typer.Option(help="Only jobs of this table.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Number of jobs, oldest first.")] = 1000,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List jobs with rejected rows that are not fixed yet, by table. To fix them, correct the file of rejected rows and
    import it into the same table, with its column _origin as it is. Exit 0 if nothing is open, else 3.

    Example: bulk-pipeline open --table customers
    """
    found = stores_of(home).rejected_rows.open_rows(table, limit)
    if as_json:
        output.print_json([asdict(job) for job in found])
    elif found:
        _show(found)
    else:
        output.say("nothing is open: each rejected row has been fixed")
    raise typer.Exit(3 if found else 0)


def _show(found: list[OpenRows]) -> None:
    now, is_terminal = datetime.now(UTC), output.is_terminal()
    rows = [
        asdict(job)
        | {
            "id": short_id(job.id) if is_terminal else job.id,
            "finished": output.local_time(job.finished_at, now, short=is_terminal),
        }
        for job in found
    ]
    output.print_grid(_GRID, [[row[name] for name in _GRID] for row in rows], dispensable=_DISPENSABLE)
    for table, jobs in groupby(found, lambda job: job.table):
        of_table = list(jobs)
        files = "1 file" if len(of_table) == 1 else f"{len(of_table):,} files"
        output.say(f"{table}: {sum(job.open for job in of_table):,} open in {files}")
    output.say("get the rows of a file with: bulk-pipeline errors ID --format rejected -o fix-me.csv")
