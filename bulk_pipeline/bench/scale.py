"""`scale`: the same load at several sizes: time and memory against rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from bulk_pipeline.bench import load
from bulk_pipeline.bench.results import Loads
from bulk_pipeline.bench.rig import Rig
from bulk_pipeline.bench.workload import Workload


@dataclass(frozen=True)
class Size:
    """Medians of one size. `slowdown`: seconds per row by those of the first size; 1 is linear."""

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


def run(rig: Rig, workload: Workload, rows: Sequence[int], pairs: int, tell: load.Tell) -> Scale:
    """Measure each size in the given order."""
    found, keys = [], count(1)
    for number in rows:
        tell(f"{number:,} rows")
        found.append(load.run(rig, replace(workload, rows=number), pairs, tell, keys))
    return Scale([_size(loads, found[0]) for loads in found], found)


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
