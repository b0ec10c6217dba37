"""What is measured of a load, and what is said of several: seconds, ratios, memory, WAL. No measuring here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulk_pipeline.bench.pairs import Spread, spread
from bulk_pipeline.bench.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`rows`: those of the file; for the floor, which gets good rows only, those."""

    seconds: float
    rows: int
    wal_bytes: int
    rows_per_second: int


@dataclass(frozen=True, kw_only=True)
class Ours(Measured):
    """One import. `seconds`: from the run's first op to the finished job, reports included.

    `claim_seconds`: from the ledger's row to the copy in the archive, which is before the run.
    `drop_to_started_seconds`: sensor, launch of the run, imports of libraries; no part of any ratio.
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
    """Both sides, once. `floor_random_ids`: only where the database makes the ids and all rows are new.

    `ratio…`: our seconds by the floor's; below 1 we are faster.
    """

    ours: Ours
    floor: Measured
    floor_random_ids: Measured | None
    ratio: float
    ratio_with_claim: float
    ratio_to_random_ids: float | None


@dataclass(frozen=True, kw_only=True)
class Loads:
    """All pairs of one workload, and their medians. `floor`: what the floor does."""

    workload: Workload
    parents: Mapping[str, int]
    file_bytes: int
    floor: str
    pairs: Sequence[Pair]
    summary: Mapping[str, Spread]


def pair(ours: Ours, floor: Measured, floor_random_ids: Measured | None = None) -> Pair:
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
    figures = [_figures(found) for found in pairs]
    common = [name for name in figures[0] if all(name in other for other in figures)]
    return {name: spread([found[name] for found in figures]) for name in common}


def _figures(found: Pair) -> dict[str, float]:
    ours, floor = found.ours, found.floor
    figures: dict[str, float | None] = {
        "ratio": found.ratio,
        "ratio_with_claim": found.ratio_with_claim,
        "ratio_to_random_ids": found.ratio_to_random_ids,
        "seconds": ours.seconds,
        "floor_seconds": floor.seconds,
        "floor_random_ids_seconds": found.floor_random_ids.seconds if found.floor_random_ids else None,
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
