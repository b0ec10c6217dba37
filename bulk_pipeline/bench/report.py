"""Results as people read them: grids of short texts. Pure; what prints them is in `cli`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from bulk_pipeline.bench.exports import Exported
from bulk_pipeline.bench.http import Http
from bulk_pipeline.bench.idle import Idle
from bulk_pipeline.bench.latency import By, Latency, Percentiles
from bulk_pipeline.bench.pairs import Spread
from bulk_pipeline.bench.peers import Peers
from bulk_pipeline.bench.results import Loads, Pair
from bulk_pipeline.bench.scale import Scale
from bulk_pipeline.bench.small_files import SmallFiles
from bulk_pipeline.bench.workload import Workload

STEPS = ("parse", "validate", "split", "load", "emit")


@dataclass(frozen=True)
class Grid:
    """Columns by name, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def about(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Machine, versions and settings in a line each."""
    machine, versions, settings = facts["machine"], facts["versions"], facts["settings"]
    return {
        "machine": f"{machine['cores']} × {machine['cpu']}, {megabytes(machine['memory_bytes'])} MB, "
        f"{machine['system']}, load {machine['load_before']}",
        "versions": ", ".join(f"{name} {value}" for name, value in versions.items() if value),
        "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
    }


def workload(found: Loads) -> dict[str, object]:
    """What was measured, and against what."""
    work = found.workload
    parents = "".join(f", {rows:,} {name}" for name, rows in sorted(found.parents.items()))
    return {
        "workload": f"{work.rows:,} rows of {kind(work)}, {megabytes(found.file_bytes)} MB{parents}",
        "floor": found.floor,
    }


def kind(work: Workload) -> str:
    """All of it but the number of rows."""
    return f"{work.table}{_bad(work.bad)}, {work.mode}, {work.format}, seed {work.seed}"


def loads(found: Loads) -> Iterator[Grid]:
    """The pairs, then the medians."""
    titles = ("pair", "ratio", "ours s", "floor s", "rows/s", *(f"{step} s" for step in STEPS))
    titles += ("claim s", "drop→started s", "drop→finished s", "RSS MB", "WAL MB", "floor WAL MB")
    has_random_ids = found.pairs[0].floor_random_ids is not None
    yield Grid(
        (*titles, *(("random ids s", "ratio to it") if has_random_ids else ())),
        [_pair(number, pair) for number, pair in enumerate(found.pairs, 1)],
    )
    yield medians(found.summary)


def peers(found: Peers) -> Grid:
    """A line for each, with the reason where there is no number."""
    rows = [
        (
            peer.name,
            *(_spread(peer.ratio), _spread(peer.seconds), peer.rows_per_second),
            peer.problem or peer.does,
        )
        for peer in found.peers
    ]
    return Grid(("tool", "ratio to \\copy", "seconds", "rows/s", "description"), rows)


def exports(found: Exported) -> Grid:
    """A line for each way."""
    rows = [
        (
            *(name, _spread(way.ratio), _spread(way.seconds), way.rows_per_second),
            *(seconds(way.first_byte_seconds), megabytes(way.bytes), megabytes(way.peak_rss_bytes)),
        )
        for name, way in found.ways.items()
    ]
    return Grid(("export", "ratio to \\copy", "seconds", "rows/s", "first row s", "file MB", "RSS MB"), rows)


def small_files(found: SmallFiles) -> dict[str, object]:
    return {
        "workload": f"{found.files:,} files of {found.rows_per_file:,} rows of {found.table}{_bad(found.bad)}",
        "first upload → last job": f"{found.seconds:.1f} s ({found.put_seconds:.1f} s of uploads)",
        "files/s": f"{found.files_per_second:.1f}",
        "rows/s": found.rows_per_second,
        "runs": found.runs,
        "jobs": found.statuses,
        "jobs with reports": found.with_reports,
    }


def latency(found: Latency) -> Grid:
    """The whole, then its parts."""
    whole = "start → exit" if found.by is By.CLI else "drop → finished"
    rows = [(whole, *_percentiles(found.seconds))]
    rows += [(name.replace("→", " → "), *_percentiles(values)) for name, values in found.parts.items()]
    return Grid((f"seconds, {found.files} files by {found.by}", "p50", "p95", "greatest"), rows)


def http(found: Http) -> Iterator[Grid]:
    """Times, then memory."""
    polled, uploaded = found.polled, found.uploaded
    polls = f"a poll, {polled.clients:,} clients, {polled.rows:,} rows coming in"
    yield Grid(
        ("seconds", "p50", "p95", "greatest"),
        [
            ("POST → finished", *_percentiles(found.posts)),
            (polls, *(f"{value:.3f}" for value in asdict(polled.seconds).values())),
        ],
    )
    rows: list[Sequence[object]] = [
        ("polls, and those after which processed had grown", f"{polled.polls:,}, {polled.growing}"),
        ("API's CPU per poll, ms", f"{polled.api_cpu_seconds_per_poll * 1000:.2f}"),
        ("the import meanwhile, s", seconds(polled.import_seconds)),
        ("API's memory at rest, MB", megabytes(found.rss_bytes_at_rest)),
        ("API's memory at the end, MB", megabytes(found.rss_bytes_at_end)),
    ]
    if uploaded:
        rows.append((f"upload of {megabytes(uploaded.bytes)} MB, s", seconds(uploaded.seconds)))
        rows.append(("API's memory meanwhile, MB", megabytes(uploaded.peak_rss_bytes)))
    yield Grid(("figure", "value"), rows)


def idle(found: Idle) -> Grid:
    """The whole, then by service."""
    rows = [("all", f"{found.share:.1%}")]
    rows += [(name, f"{share:.1%}") for name, share in found.services.items()]
    return Grid(("service", f"of one core, over {found.seconds:.0f} s"), rows)


def scale(found: Scale) -> Grid:
    """A line for each size. Slowdowns: seconds per row, compared with the first size."""
    rows = [
        (
            *(size.rows, f"{size.ratio:.2f}", seconds(size.seconds), seconds(size.floor_seconds)),
            *(f"{size.slowdown:.2f}", f"{size.floor_slowdown:.2f}", megabytes(size.peak_rss_bytes)),
            megabytes(size.peak_private_bytes),
        )
        for size in found.sizes
    ]
    titles = ("rows", "ratio", "ours s", "floor s", "slowdown", "floor slowdown", "RSS MB", "private MB")
    return Grid(titles, rows)


def medians(summary: Mapping[str, Spread]) -> Grid:
    """A line for each figure."""
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
    """`peak_rss_bytes` is shown in megabytes."""
    return name.replace("_bytes", "_MB").replace("_", " ")


def _figure(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return megabytes(value)
    return f"{value:,.0f}" if name.endswith("per_second") else f"{value:,.3f}"
