"""`bench`: how fast it is, on a stack of its own, beside what it has to beat."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.bench.choices import By, FileFormat, LoadMode
from bulk_pipeline.cli import numbers, output
from bulk_pipeline.cli.connection import JsonOption

if TYPE_CHECKING:
    from bulk_pipeline.bench.report import Grid
    from bulk_pipeline.bench.rig import Rig
    from bulk_pipeline.bench.workload import Workload

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


@app.command()
def peers(
    rows: RowsOption = "100000",
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 1,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Load the same clean customers by pandas, dlt, pgloader and sling where installed, beside ours and \\copy.

    In a checkout, `uv pip install --group peers` brings dlt and sling.

    Example: bulk-pipeline bench peers --rows 1e6 --rounds 3
    """
    from bulk_pipeline.bench import peers as tools
    from bulk_pipeline.bench import report

    number = numbers.count(rows, "--rows")
    with _rig() as (rig, about):
        found = tools.run(rig, number, rounds, seed, _tell)
    facts = {"workload": f"{number:,} rows of customers, CSV, seed {seed}"}
    _show("peers", about, found, facts, [report.peers(found)], as_json)


@app.command()
def export(
    table: Annotated[str, typer.Option(help="The table to export.")] = "customers",
    rows: Annotated[str, typer.Option(help="Rows it has: 1000000, 1_000_000 or 1e6.")] = "100000",
    pairs: PairsOption = 3,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Export a table in every format, in turns with psql's \\copy (SELECT …) TO a file.

    Example: bulk-pipeline bench export --table articles --rows 1e6 --pairs 5
    """
    from bulk_pipeline.bench import exports, report

    workload = _workload(table, rows, LoadMode.INSERT_ONLY, "0", FileFormat.CSV, seed)
    with _rig() as (rig, about):
        found = exports.run(rig, workload, pairs, _tell)
    floor = (
        f"{found.floor_seconds.median:.2f} s ({found.floor_seconds.low:.2f}–{found.floor_seconds.high:.2f})"
    )
    facts = {
        "workload": f"{found.rows:,} rows of {table}, seed {seed}",
        "floor": f"\\copy (SELECT … ORDER BY id) TO a file, as CSV: {floor}",
    }
    _show("export", about, found, facts, [report.exports(found)], as_json)


@app.command()
def small_files(
    files: Annotated[str, typer.Option(help="How many files.")] = "1000",
    rows: Annotated[str, typer.Option(help="Records of each file.")] = "100",
    table: TableOption = "customers",
    bad: BadOption = "0",
    as_json: JsonOption = False,
) -> None:
    """Drop many files at once, and wait until each has its own finished job.

    Example: bulk-pipeline bench small-files --files 1000 --rows 100 --bad 1%
    """
    from bulk_pipeline.bench import report, small_files

    asked = (
        _orphan(table),
        numbers.count(files, "--files"),
        numbers.count(rows, "--rows"),
        numbers.share(bad, "--bad"),
    )
    with _rig() as (rig, about):
        found = small_files.run(rig, *asked)
    _show("small-files", about, found, report.small_files(found), [], as_json)


@app.command()
def latency(
    files: Annotated[int, typer.Option(min=1, help="How many files, one after the other.")] = 20,
    by: Annotated[By, typer.Option(help="Put into the bucket, or `bulk-pipeline import`.")] = By.BUCKET,
    rows: Annotated[str, typer.Option(help="Records of each file.")] = "100",
    table: TableOption = "customers",
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS",
            help="While a file of so many rows and 500 small ones of another table are imported.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring one small file at a time to the idle stack, or to a busy one, until its job is finished.

    Example: bulk-pipeline bench latency --files 20 --by cli
    Example: bulk-pipeline bench latency --files 3 --beside 5e6
    """
    from bulk_pipeline.bench import latency, report

    table, number = _orphan(table), numbers.count(rows, "--rows")
    with _rig() as (rig, about):
        found = latency.run(
            rig, by, table, files, number, numbers.count(beside, "--beside") if beside else 0, _tell
        )
    facts = {"workload": f"{files} files of {number:,} rows of {table}, one at a time, by {by}"}
    if found.beside:
        facts["beside"] = (
            f"a file of {found.beside:,} rows and 500 small ones; {found.left} not finished at the end"
        )
    _show("latency", about, found, facts, [report.latency(found)], as_json)


@app.command()
def http(
    posts: Annotated[int, typer.Option(min=1, help="How many files of 10 rows, one after the other.")] = 12,
    clients: Annotated[int, typer.Option(min=1, help="How many poll once a second.")] = 200,
    rows: Annotated[str, typer.Option(help="Records of the file that is imported meanwhile.")] = "500000",
    upload: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Send a file of this size too, e.g. 1e9.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import over HTTP: small files until they are finished, then a larger one while many clients poll.

    Example: bulk-pipeline bench http --clients 200 --rows 500000 --upload 1e9
    """
    from bulk_pipeline.bench import http, report

    number, size = numbers.count(rows, "--rows"), numbers.count(upload, "--upload") if upload else 0
    with _rig() as (rig, about):
        found = http.run(rig, posts=posts, clients=clients, rows=number, upload_bytes=size, tell=_tell)
    _show(
        "http", about, found, {"workload": f"customers, CSV, at {rig.api_url}"}, report.http(found), as_json
    )


@app.command()
def idle(
    seconds: Annotated[float, typer.Option(min=1, help="How long to watch.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """Measure the CPU time of the whole stack while nothing happens.

    Example: bulk-pipeline bench idle --seconds 120
    """
    from bulk_pipeline.bench import idle, report

    with _rig() as (rig, about):
        _tell(f"watching for {seconds:g} s, once the start is over")
        found = idle.run(rig, seconds)
    _show("idle", about, found, {}, [report.idle(found)], as_json)


@app.command()
def scale(
    rows: Annotated[str, typer.Option(help="Sizes, with commas between them.")] = "1e5,3e5,1e6",
    table: TableOption = "customers",
    mode: ModeOption = LoadMode.INSERT_ONLY,
    bad: BadOption = "0",
    file_format: FormatOption = FileFormat.CSV,
    pairs: PairsOption = 1,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure the same load at several sizes: time and memory against rows.

    Example: bulk-pipeline bench scale --rows 1e6,3e6,10e6
    """
    from bulk_pipeline.bench import report, scale

    sizes = numbers.counts(rows, "--rows")
    workload = _workload(table, str(sizes[0]), mode, bad, file_format, seed)
    with _rig() as (rig, about):
        found = scale.run(rig, workload, sizes, pairs, _tell)
    facts = {"workload": report.kind(workload), "floor": found.loads[0].floor}
    _show("scale", about, found, facts, [report.scale(found)], as_json)


def _orphan(table: str) -> str:
    """A table whose files need no other table's rows."""
    if parents := tables.get(table).parents:
        raise typer.BadParameter(f"{table} refers to {', '.join(parents)}: choose a table without parents")
    return table


def _workload(
    table: str, rows: str, mode: LoadMode, bad: str, file_format: FileFormat, seed: int
) -> "Workload":
    from bulk_pipeline.bench.workload import Workload

    tables.get(table)
    try:
        return Workload(
            table=table,
            rows=numbers.count(rows, "--rows"),
            mode=mode,
            bad=numbers.share(bad, "--bad"),
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
