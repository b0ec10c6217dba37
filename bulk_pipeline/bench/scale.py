"""`scale`: the same load at several sizes: time and memory by rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from bulk_pipeline.bench import load
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.results import Loads
from bulk_pipeline.bench.workload import Workload


@dataclass(frozen=True)
class Size:
    """Medians of one size. `slowdown`: seconds per row divided by those of the first size; 1 is linear."""

    rows: int
    seconds: float
    floor_seconds: float
    ratio: float
    slowdown: float
    floor_slowdown: float
    peak_rss_bytes: int
    peak_private_bytes: int


@dataclass(frozen=True)
class Scale:
    sizes: Sequence[Size]
    loads: Sequence[Loads]


def run(rig: Rig, workload: Workload, rows: Sequence[int], pairs: int, say: load.Tell) -> Scale:
    """Measure each size in the given order."""
    results, keys = [], count(1)
    for number in rows:
        say(f"{number:,} rows")
        results.append(load.run(rig, replace(workload, rows=number), pairs, say, keys))
    return Scale([_size(loads, results[0]) for loads in results], results)


def _size(loads: Loads, first: Loads) -> Size:
    median = {name: spread.median for name, spread in loads.summary.items()}
    start = {name: spread.median for name, spread in first.summary.items()}
    growth = loads.workload.rows / first.workload.rows
    return Size(
        rows=loads.workload.rows,
        seconds=median["seconds"],
        floor_seconds=median["floor_seconds"],
        ratio=median["ratio"],
        slowdown=round(median["seconds"] / start["seconds"] / growth, 3),
        floor_slowdown=round(median["floor_seconds"] / start["floor_seconds"] / growth, 3),
        peak_rss_bytes=round(median["peak_rss_bytes"]),
        peak_private_bytes=round(median["peak_private_bytes"]),
    )
