"""Results for people, as grids of short texts. Pure; `cli.bench` prints them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from bulk_pipeline.bench.choices import Arrivals, By
from bulk_pipeline.bench.exports import ExportTimings
from bulk_pipeline.bench.http import Http
from bulk_pipeline.bench.idle import Idle
from bulk_pipeline.bench.latency import Latency, Percentiles, Plan
from bulk_pipeline.bench.paired import Spread
from bulk_pipeline.bench.peers import Peers
from bulk_pipeline.bench.results import Loads, Pair
from bulk_pipeline.bench.scale import Scale
from bulk_pipeline.bench.small_files import SmallFiles
from bulk_pipeline.bench.workload import Workload

STEPS = ("parse", "validate", "split", "load", "emit")


@dataclass(frozen=True)
class Grid:
    """Names of columns, and rows with a cell for each."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def about(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return machine, versions and settings, a line each."""
    machine, versions, settings = facts["machine"], facts["versions"], facts["settings"]
    return {
        "machine": f"{machine['cores']} × {machine['cpu']}, {megabytes(machine['memory_bytes'])} MB, "
        f"{machine['system']}, load {machine['load_before']}",
        "versions": ", ".join(f"{name} {value}" for name, value in versions.items() if value),
        "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
    }


def workload(result: Loads) -> dict[str, object]:
    """Return the workload and the floor."""
    work = result.workload
    parents = "".join(f", {rows:,} {name}" for name, rows in sorted(result.parents.items()))
    return {
        "workload": f"{work.rows:,} rows of {kind(work)}, {megabytes(result.file_bytes)} MB{parents}",
        "floor": result.floor,
    }


def kind(work: Workload) -> str:
    """Return the workload in words, without the number of rows."""
    return f"{work.table}{_bad(work.bad)}, {work.mode}, {work.format}, seed {work.seed}"


def loads(result: Loads) -> Iterator[Grid]:
    """Yield the pairs, then the medians."""
    titles = ("pair", "ratio", "ours s", "floor s", "rows/s", *(f"{step} s" for step in STEPS))
    titles += ("claim s", "drop→started s", "drop→finished s", "RSS MB", "WAL MB", "floor WAL MB")
    has_random_ids = result.pairs[0].floor_random_ids is not None
    yield Grid(
        (*titles, *(("random ids s", "ratio to it") if has_random_ids else ())),
        [_pair(number, pair) for number, pair in enumerate(result.pairs, 1)],
    )
    yield medians(result.summary)


def peers(result: Peers) -> Grid:
    """Return a line for each tool, with the reason if it was not measured."""
    rows = [
        (
            peer.name,
            *(_spread(peer.ratio), _spread(peer.seconds), peer.rows_per_second),
            peer.problem or peer.does,
        )
        for peer in result.peers
    ]
    return Grid(("tool", "ratio to \\copy", "seconds", "rows/s", "description"), rows)


def exports(result: ExportTimings) -> Grid:
    """Return a line for each kind of export."""
    rows = [
        (
            *(name, _spread(way.ratio), _spread(way.seconds), way.rows_per_second),
            *(seconds(way.first_byte_seconds), megabytes(way.bytes), megabytes(way.peak_rss_bytes)),
        )
        for name, way in result.ways.items()
    ]
    return Grid(("export", "ratio to \\copy", "seconds", "rows/s", "first row s", "file MB", "RSS MB"), rows)


def small_files(result: SmallFiles) -> dict[str, object]:
    return {
        "workload": f"{result.files:,} files of {result.rows_per_file:,} rows of {result.table}{_bad(result.bad)}",
        "first upload → last job": f"{result.seconds:.1f} s ({result.put_seconds:.1f} s of uploads)",
        "files/s": f"{result.files_per_second:.1f}",
        "rows/s": result.rows_per_second,
        "runs": result.runs,
        "jobs": result.statuses,
        "jobs with reports": result.with_reports,
    }


def arrivals(plan: Plan) -> str:
    """Return the files of a plan, and when they arrive, in words."""
    times = {
        Arrivals.SPREAD: "one at a time",
        Arrivals.POISSON: f"Poisson arrivals, one every {plan.every_seconds:g} s",
        Arrivals.BACK_TO_BACK: "each when the one before is finished",
    }
    return f"{plan.files} files of {plan.rows_per_file:,} rows of {plan.table}, {times[plan.arrivals]}, by {plan.by}"


def latency(result: Latency) -> Grid:
    """The whole, then its parts."""
    plan = result.plan
    whole = "start → exit" if plan.by is By.CLI else "drop → finished"
    rows = [(whole, *_percentiles(result.seconds))]
    rows += [(name.replace("→", " → "), *_percentiles(values)) for name, values in result.parts.items()]
    return Grid((f"seconds, {plan.files} files by {plan.by}", "p50", "p95", "greatest"), rows)


def http(result: Http) -> Iterator[Grid]:
    """Yield the times, then the memory."""
    polled, uploaded = result.polled, result.uploaded
    polls = f"a poll, {polled.clients:,} clients, {polled.rows:,} rows being imported"
    yield Grid(
        ("seconds", "p50", "p95", "greatest"),
        [
            ("POST → finished", *_percentiles(result.posts)),
            (polls, *(f"{value:.3f}" for value in asdict(polled.seconds).values())),
        ],
    )
    rows: list[Sequence[object]] = [
        ("polls; polls that showed more processed rows", f"{polled.polls:,}, {polled.growing}"),
        ("API's CPU per poll, ms", f"{polled.api_cpu_seconds_per_poll * 1000:.2f}"),
        ("import during the polls, s", seconds(polled.import_seconds)),
        ("API's memory when idle, MB", megabytes(result.rss_bytes_at_rest)),
        ("API's memory at the end, MB", megabytes(result.rss_bytes_at_end)),
    ]
    if uploaded:
        rows.append((f"upload of {megabytes(uploaded.bytes)} MB, s", seconds(uploaded.seconds)))
        rows.append(("API's memory during it, MB", megabytes(uploaded.peak_rss_bytes)))
    yield Grid(("figure", "value"), rows)


def idle(result: Idle) -> Grid:
    """Return the sum, then each service."""
    rows = [("all", f"{result.share:.1%}")]
    rows += [(name, f"{share:.1%}") for name, share in result.services.items()]
    return Grid(("service", f"of one core, over {result.seconds:.0f} s"), rows)


def scale(result: Scale) -> Grid:
    """Return a line for each size. Slowdowns: seconds per row, compared with the first size."""
    rows = [
        (
            *(size.rows, f"{size.ratio:.2f}", seconds(size.seconds), seconds(size.floor_seconds)),
            *(f"{size.slowdown:.2f}", f"{size.floor_slowdown:.2f}", megabytes(size.peak_rss_bytes)),
            megabytes(size.peak_private_bytes),
        )
        for size in result.sizes
    ]
    titles = ("rows", "ratio", "ours s", "floor s", "slowdown", "floor slowdown", "RSS MB", "private MB")
    return Grid(titles, rows)


def medians(summary: Mapping[str, Spread]) -> Grid:
    """Return a line for each figure."""
    rows = [
        (_title(name), *(_figure(name, value) for value in (spread.median, spread.low, spread.high)))
        for name, spread in summary.items()
    ]
    return Grid(("figure", "median", "least", "greatest"), rows)


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def megabytes(value: float) -> str:
    return f"{value / 1_000_000:,.0f}"


def _bad(share: Fraction) -> str:
    return f", {float(share):.2%} of them bad" if share else ""


def _spread(values: Spread | None) -> str:
    return "" if values is None else f"{values.median:.2f} ({values.low:.2f}–{values.high:.2f})"


def _percentiles(values: Percentiles) -> tuple[str, str, str]:
    return seconds(values.p50), seconds(values.p95), seconds(values.greatest)


def _pair(number: int, pair: Pair) -> list[object]:
    ours, random_ids = pair.ours, pair.floor_random_ids
    cells: list[object] = [number, f"{pair.ratio:.2f}", seconds(ours.seconds), seconds(pair.floor.seconds)]
    cells += [ours.rows_per_second, *(seconds(ours.step_seconds.get(step)) for step in STEPS)]
    cells += [seconds(ours.claim_seconds), seconds(ours.drop_to_started_seconds)]
    cells += [seconds(ours.drop_to_finished_seconds), megabytes(ours.peak_rss_bytes)]
    cells += [megabytes(ours.wal_bytes), megabytes(pair.floor.wal_bytes)]
    if random_ids:
        cells += [seconds(random_ids.seconds), f"{pair.ratio_to_random_ids:.2f}"]
    return cells


def _title(name: str) -> str:
    """Return the title of a figure; bytes are shown in megabytes."""
    return name.replace("_bytes", "_MB").replace("_", " ")


def _figure(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return megabytes(value)
    return f"{value:,.0f}" if name.endswith("per_second") else f"{value:,.3f}"
