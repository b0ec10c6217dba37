"""`bench`: measure speed on a separate stack, next to psql's `\\copy` and other tools."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.bench.choices import Arrivals, By, FileFormat, LoadMode, project_of
from bulk_pipeline.cli import options, output
from bulk_pipeline.cli.connection import JsonOption

if TYPE_CHECKING:
    from bulk_pipeline.bench.harness import Rig
    from bulk_pipeline.bench.report import Grid
    from bulk_pipeline.bench.workload import Workload

app = typer.Typer(no_args_is_help=True)

TableOption = Annotated[str, typer.Option(help="The table to load.")]
AnyTableOption = Annotated[
    str,
    typer.Option(
        help="The table to load: one of the sample data, or orders, which has other types and keys."
    ),
]
RowsOption = Annotated[str, typer.Option(help="Records in the file: 1000000, 1_000_000 or 1e6.")]
ModeOption = Annotated[LoadMode, typer.Option(help="What happens to rows whose key exists.")]
BadOption = Annotated[str, typer.Option(metavar="SHARE", help="Share of bad rows: 1%, 0.01 or 1/100.")]
FormatOption = Annotated[FileFormat, typer.Option("--format", help="Format of the file.")]
PairsOption = Annotated[int, typer.Option(min=1, help="Number of interleaved pairs of measurements.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")]


@app.callback()
def bench() -> None:
    """Measure speed on a separate stack, next to psql's `\\copy`.

    The tables are those of the sample data, and `orders` for load, export and scale.

    Example: bulk-pipeline bench load --rows 1e6 --pairs 5
    """
    tables.serve(None)


@app.command()
def load(
    table: AnyTableOption = "customers",
    rows: RowsOption = "100000",
    mode: ModeOption = LoadMode.INSERT_ONLY,
    bad: BadOption = "0",
    file_format: FormatOption = FileFormat.CSV,
    pairs: PairsOption = 3,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Import a file, and \\copy its good rows into an identical table, in interleaved pairs.

    Example: bulk-pipeline bench load --table users --rows 1e6 --bad 1% --pairs 5 --json
    """
    from bulk_pipeline.bench import load as loading
    from bulk_pipeline.bench import report

    workload = _workload(table, rows, mode, bad, file_format, seed)
    with _rig(table) as (rig, about):
        result = loading.run(rig, workload, pairs, _say)
    _show("load", about, result, report.workload(result), report.loads(result), as_json)


@app.command()
def peers(
    rows: RowsOption = "100000",
    rounds: Annotated[int, typer.Option(min=1, help="Number of measurements of each tool.")] = 1,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Load the same clean customers with pandas, dlt, pgloader and sling where installed, with ours and \\copy.

    In a checkout, `uv pip install --group peers` installs dlt and sling.

    Example: bulk-pipeline bench peers --rows 1e6 --rounds 3
    """
    from bulk_pipeline.bench import peers as tools
    from bulk_pipeline.bench import report

    number = options.count(rows, "--rows")
    with _rig() as (rig, about):
        result = tools.run(rig, number, rounds, seed, _say)
    facts = {"workload": f"{number:,} rows of customers, CSV, seed {seed}"}
    _show("peers", about, result, facts, [report.peers(result)], as_json)


@app.command()
def export(
    table: Annotated[str, typer.Option(help="The table to export.")] = "customers",
    rows: Annotated[str, typer.Option(help="Rows in the table: 1000000, 1_000_000 or 1e6.")] = "100000",
    pairs: PairsOption = 3,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Export a table in every format, in turns with psql's \\copy (SELECT …) TO a file.

    Example: bulk-pipeline bench export --table articles --rows 1e6 --pairs 5
    """
    from bulk_pipeline.bench import exports, report

    workload = _workload(table, rows, LoadMode.INSERT_ONLY, "0", FileFormat.CSV, seed)
    with _rig(table) as (rig, about):
        result = exports.run(rig, workload, pairs, _say)
    seconds = result.floor_seconds
    facts = {
        "workload": f"{result.rows:,} rows of {table}, seed {seed}",
        "floor": "\\copy (SELECT … ORDER BY id) TO a file, as CSV: "
        f"{seconds.median:.2f} s ({seconds.low:.2f}–{seconds.high:.2f})",
    }
    _show("export", about, result, facts, [report.exports(result)], as_json)


@app.command()
def small_files(
    files: Annotated[str, typer.Option(help="Number of files.")] = "1000",
    rows: Annotated[str, typer.Option(help="Records in each file.")] = "100",
    table: TableOption = "customers",
    bad: BadOption = "0",
    as_json: JsonOption = False,
) -> None:
    """Drop many files at once, and wait until the job of each has finished.

    Example: bulk-pipeline bench small-files --files 1000 --rows 100 --bad 1%
    """
    from bulk_pipeline.bench import report, small_files

    workload = (
        _without_parents(table),
        options.count(files, "--files"),
        options.count(rows, "--rows"),
        options.share(bad, "--bad"),
    )
    with _rig() as (rig, about):
        result = small_files.run(rig, *workload)
    _show("small-files", about, result, report.small_files(result), [], as_json)


@app.command()
def latency(
    files: Annotated[int, typer.Option(min=1, help="Number of files.")] = 20,
    by: Annotated[
        By,
        typer.Option(help="How files arrive: put into the bucket, over HTTP, or by `bulk-pipeline import`."),
    ] = By.BUCKET,
    arrivals: Annotated[
        Arrivals,
        typer.Option(help="When: at spread times, on their own clock, or each when the last is finished."),
    ] = Arrivals.SPREAD,
    every: Annotated[
        str, typer.Option(metavar="SECONDS", help="Mean pause between poisson arrivals: 2s or 0.5.")
    ] = "2s",
    rows: Annotated[str, typer.Option(help="Records in each file.")] = "100",
    table: TableOption = "customers",
    beside: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS",
            help="Meanwhile import a file of this many rows and 500 small ones into another table.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Time small files from their arrival to the finished job, on an idle or a busy stack.

    Example: bulk-pipeline bench latency --files 20 --by cli
    Example: bulk-pipeline bench latency --files 100 --arrivals poisson --every 2s --by post
    Example: bulk-pipeline bench latency --files 3 --beside 5e6
    """
    from bulk_pipeline.bench import latency, report

    plan = latency.Plan(
        by=by,
        arrivals=arrivals,
        every_seconds=options.seconds(every, "--every"),
        table=_without_parents(table),
        rows_per_file=options.count(rows, "--rows"),
        files=files,
        beside=options.count(beside, "--beside") if beside else 0,
    )
    with _rig() as (rig, about):
        result = latency.run(rig, plan, _say)
    facts = {"workload": report.arrivals(plan)}
    if plan.beside:
        facts["beside"] = (
            f"a file of {plan.beside:,} rows and 500 small ones; {result.left} not finished at the end"
        )
    _show("latency", about, result, facts, [report.latency(result)], as_json)


@app.command()
def http(
    posts: Annotated[int, typer.Option(min=1, help="Number of files of 10 rows, one after the other.")] = 12,
    clients: Annotated[int, typer.Option(min=1, help="Number of clients that poll once a second.")] = 200,
    rows: Annotated[str, typer.Option(help="Records in the file that is imported meanwhile.")] = "500000",
    upload: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Also upload a file of this size, such as 1e9.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import over HTTP: small files one after the other, then a larger one while many clients poll.

    Example: bulk-pipeline bench http --clients 200 --rows 500000 --upload 1e9
    """
    from bulk_pipeline.bench import http, report

    number, size = options.count(rows, "--rows"), options.count(upload, "--upload") if upload else 0
    with _rig() as (rig, about):
        result = http.run(rig, posts=posts, clients=clients, rows=number, upload_bytes=size, say=_say)
    facts = {"workload": f"customers, CSV, at {rig.api_url}"}
    _show("http", about, result, facts, report.http(result), as_json)


@app.command()
def idle(
    seconds: Annotated[float, typer.Option(min=1, help="Length of the measurement.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """Measure the CPU time of the whole stack while it is idle.

    Example: bulk-pipeline bench idle --seconds 120
    """
    from bulk_pipeline.bench import idle, report

    with _rig() as (rig, about):
        _say(f"measuring for {seconds:g} s, once the stack has started")
        result = idle.run(rig, seconds)
    _show("idle", about, result, {}, [report.idle(result)], as_json)


@app.command()
def scale(
    rows: Annotated[str, typer.Option(help="Sizes, separated by commas.")] = "1e5,3e5,1e6",
    table: AnyTableOption = "customers",
    mode: ModeOption = LoadMode.INSERT_ONLY,
    bad: BadOption = "0",
    file_format: FormatOption = FileFormat.CSV,
    pairs: PairsOption = 1,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure the same load at several sizes: time and memory by rows.

    Example: bulk-pipeline bench scale --rows 1e6,3e6,10e6
    """
    from bulk_pipeline.bench import report, scale

    sizes = options.counts(rows, "--rows")
    workload = _workload(table, str(sizes[0]), mode, bad, file_format, seed)
    with _rig(table) as (rig, about):
        result = scale.run(rig, workload, sizes, pairs, _say)
    facts = {"workload": report.kind(workload), "floor": result.loads[0].floor}
    _show("scale", about, result, facts, [report.scale(result)], as_json)


def _without_parents(table: str) -> str:
    """Return the table if its rows refer to no other table."""
    if parents := tables.get(table).parents:
        raise typer.BadParameter(f"{table} refers to {', '.join(parents)}: choose a table without parents")
    return table


def _workload(
    table: str, rows: str, mode: LoadMode, bad: str, file_format: FileFormat, seed: int
) -> "Workload":
    from bulk_pipeline.bench.workload import Workload

    tables.serve(project_of(table))
    tables.get(table)
    try:
        return Workload(
            table=table,
            rows=options.count(rows, "--rows"),
            mode=mode,
            bad=options.share(bad, "--bad"),
            format=file_format,
            seed=seed,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _rig(table: str = "") -> "Iterator[tuple[Rig, Mapping[str, Mapping[str, Any]]]]":
    """Yield a running stack that serves the table, and the facts about machine and software that belong to a result."""
    from bulk_pipeline.bench import machine
    from bulk_pipeline.bench.harness import rig

    load_before = machine.machine()
    _say("starting a stack")
    with rig(project=project_of(table)) as running:
        yield running, {"machine": load_before, **machine.software(running)}


def _say(text: str) -> None:
    """Print a line of progress on stderr."""
    output.err.print(text, markup=False)


def _show(
    name: str,
    about: Mapping[str, Mapping[str, Any]],
    result: Any,
    facts: Mapping[str, object],
    grids: "Iterable[Grid]",
    as_json: bool,
) -> None:
    """Print the result, a dataclass: all its fields as JSON, or the facts and grids for people."""
    from bulk_pipeline.bench import report

    if as_json:
        output.print_json({"bench": name, **about, **asdict(result)})
        return
    output.print_facts({**report.about(about), **facts})
    for grid in grids:
        output.say("")
        output.print_grid(grid.columns, grid.rows)
