"""`bench`: how fast it is, on a stack of its own, beside what it has to beat."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.bench.workload import FileFormat, LoadMode, Workload
from bulk_pipeline.cli import numbers, output
from bulk_pipeline.cli.connection import JsonOption

if TYPE_CHECKING:
    from bulk_pipeline.bench.report import Grid
    from bulk_pipeline.bench.rig import Rig

app = typer.Typer(no_args_is_help=True)

TableOption = Annotated[str, typer.Option(help="The table to load.")]
RowsOption = Annotated[str, typer.Option(help="Records of the file: 1000000, 1_000_000 or 1e6.")]
ModeOption = Annotated[LoadMode, typer.Option(help="How the rows meet those that are there.")]
BadOption = Annotated[str, typer.Option(metavar="SHARE", help="How many rows are bad: 1%, 0.01 or 1/100.")]
FormatOption = Annotated[FileFormat, typer.Option("--format", help="How the file is written.")]
PairsOption = Annotated[int, typer.Option(min=1, help="How often both sides are measured.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")]


@app.callback()
def bench() -> None:
    """Measure how fast it is, on a stack of its own, beside psql's `\\copy`.

    Example: bulk-pipeline bench load --rows 1e6 --pairs 5
    """


@app.command()
def load(
    table: TableOption = "customers",
    rows: RowsOption = "100000",
    mode: ModeOption = LoadMode.INSERT_ONLY,
    bad: BadOption = "0",
    file_format: FormatOption = FileFormat.CSV,
    pairs: PairsOption = 3,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Import a file, beside \\copy of its good rows into an identical table, in interleaved pairs.

    Example: bulk-pipeline bench load --table users --rows 1e6 --bad 1% --pairs 5 --json
    """
    from bulk_pipeline.bench import load as loading
    from bulk_pipeline.bench import report

    workload = _workload(table, rows, mode, bad, file_format, seed)
    with _rig() as (rig, about):
        found = loading.run(rig, workload, pairs, _tell)
    _show("load", about, found, report.workload(found), report.loads(found), as_json)


def _workload(
    table: str, rows: str, mode: LoadMode, bad: str, file_format: FileFormat, seed: int
) -> Workload:
    tables.get(table)
    try:
        return Workload(
            table=table,
            rows=numbers.count(rows),
            mode=mode,
            bad=numbers.share(bad),
            format=file_format,
            seed=seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _rig() -> "Iterator[tuple[Rig, Mapping[str, Mapping[str, Any]]]]":
    """A stack, and what is to be said of it."""
    from bulk_pipeline.bench import machine
    from bulk_pipeline.bench.rig import rig

    load_before = machine.machine()
    _tell("starting a stack")
    with rig() as running:
        yield running, {"machine": load_before, **machine.software(running)}


def _tell(text: str) -> None:
    """How far it is, on stderr."""
    output.err.print(text, markup=False)


def _show(
    name: str,
    about: Mapping[str, Mapping[str, Any]],
    found: Any,
    facts: Mapping[str, object],
    grids: "Iterable[Grid]",
    as_json: bool,
) -> None:
    """`found`: a dataclass, whose fields are the result."""
    from bulk_pipeline.bench import report

    if as_json:
        output.print_json({"bench": name, **about, **asdict(found)})
        return
    output.print_facts({**report.about(about), **facts})
    for grid in grids:
        output.say("")
        output.print_grid(grid.columns, grid.rows)
