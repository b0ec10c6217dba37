"""Results as people read them: grids of short texts. Pure; what prints them is in `cli`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulk_pipeline.bench.pairs import Spread
from bulk_pipeline.bench.results import Loads, Pair

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
    bad = f", {float(work.bad):.2%} of them bad" if work.bad else ""
    parents = "".join(f", {rows:,} {name}" for name, rows in sorted(found.parents.items()))
    return {
        "workload": f"{work.rows:,} rows of {work.table}{bad}, {work.mode}, {work.format} of "
        f"{megabytes(found.file_bytes)} MB, seed {work.seed}{parents}",
        "floor": found.floor,
    }


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
