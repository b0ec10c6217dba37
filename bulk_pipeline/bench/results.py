"""Results of one load and statistics of several: seconds, ratios, memory, WAL. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulk_pipeline.bench.paired import Spread, spread
from bulk_pipeline.bench.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """`rows`: rows of the file; for the floor, its good rows."""

    seconds: float
    rows: int
    wal_bytes: int
    rows_per_second: int


@dataclass(frozen=True, kw_only=True)
class Ours(Measurement):
    """One import. `seconds`: from the run's first op to the finished job, including reports.

    `claim_seconds`: from the ledger's row to the copy in the archive, before the run.
    `drop_to_started_seconds`: sensor, launch of the run, imports of libraries; not part of any ratio.
    """

    claim_seconds: float
    seconds_with_claim: float
    drop_to_started_seconds: float
    drop_to_finished_seconds: float
    step_seconds: Mapping[str, float]
    peak_rss_bytes: int
    peak_private_bytes: int
    status: str
    counts: Mapping[str, int | None]
    failures: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One measurement of both sides. `floor_random_ids`: only if the database creates the ids and all rows are new.

    `ratio…`: our seconds divided by the floor's; below 1 we are faster.
    """

    ours: Ours
    floor: Measurement
    floor_random_ids: Measurement | None
    ratio: float
    ratio_with_claim: float
    ratio_to_random_ids: float | None


@dataclass(frozen=True, kw_only=True)
class Loads:
    """All pairs of one workload, and their medians. `floor`: the floor in words."""

    workload: Workload
    parents: Mapping[str, int]
    file_bytes: int
    floor: str
    pairs: Sequence[Pair]
    summary: Mapping[str, Spread]


def pair(ours: Ours, floor: Measurement, floor_random_ids: Measurement | None = None) -> Pair:
    return Pair(
        ours=ours,
        floor=floor,
        floor_random_ids=floor_random_ids,
        ratio=round(ours.seconds / floor.seconds, 4),
        ratio_with_claim=round(ours.seconds_with_claim / floor.seconds, 4),
        ratio_to_random_ids=round(ours.seconds / floor_random_ids.seconds, 4) if floor_random_ids else None,
    )


def summary(pairs: Sequence[Pair]) -> dict[str, Spread]:
    """By name of the figure; `step …` for the ops. Only figures that every pair has."""
    figures = [_figures(result) for result in pairs]
    common = [name for name in figures[0] if all(name in other for other in figures)]
    return {name: spread([result[name] for result in figures]) for name in common}


def _figures(result: Pair) -> dict[str, float]:
    ours, floor = result.ours, result.floor
    figures: dict[str, float | None] = {
        "ratio": result.ratio,
        "ratio_with_claim": result.ratio_with_claim,
        "ratio_to_random_ids": result.ratio_to_random_ids,
        "seconds": ours.seconds,
        "floor_seconds": floor.seconds,
        "floor_random_ids_seconds": result.floor_random_ids.seconds if result.floor_random_ids else None,
        "rows_per_second": ours.rows_per_second,
        "floor_rows_per_second": floor.rows_per_second,
        "claim_seconds": ours.claim_seconds,
        "drop_to_started_seconds": ours.drop_to_started_seconds,
        "drop_to_finished_seconds": ours.drop_to_finished_seconds,
        "peak_rss_bytes": ours.peak_rss_bytes,
        "peak_private_bytes": ours.peak_private_bytes,
        "wal_bytes": ours.wal_bytes,
        "floor_wal_bytes": floor.wal_bytes,
        **{f"{step}_seconds": seconds for step, seconds in ours.step_seconds.items()},
    }
    return {name: value for name, value in figures.items() if value is not None}
