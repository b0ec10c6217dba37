"""The log of faults: JSON lines. The lines of an epoch are written together when it is over."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read(log: Path) -> list[Record]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines()]


def append(log: Path, records: Iterable[Record]) -> None:
    with log.open("a") as file:
        file.write("".join(f"{json.dumps(record)}\n" for record in records))


def seeds(records: Iterable[Record]) -> set[int]:
    """Return the finished epochs."""
    return {record["seed"] for record in records if record["record"] == "epoch"}


def unjudged(seed: int, reason: str) -> Record:
    """Return the record of an epoch that failed for reasons of the test itself: none of its faults counts."""
    nothing = {"faults": 0, "uploads": 0, "rows": 0, "seconds": 0.0, "violations": []}
    return {"record": "epoch", "seed": seed, **nothing, "unjudged": reason}


def table(records: list[Record]) -> str:
    """Return a Markdown table: faults by kind with the seconds until all affected jobs had finished, then the sums."""
    epochs = [record for record in records if record["record"] == "epoch"]
    judged = {epoch["seed"]: epoch for epoch in epochs if not epoch.get("unjudged")}
    faults = [record for record in records if record["record"] == "fault" and record["seed"] in judged]
    counts = Counter(fault["kind"] for fault in faults)
    took: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        if fault["recovery_seconds"] is not None:
            took[fault["kind"]].append(fault["recovery_seconds"])
    lines = ["| fault | times | median s to recover | longest |", "|---|---|---|---|"]
    for kind in sorted(counts):
        seconds = took[kind] or [float("nan")]
        lines.append(f"| {kind} | {counts[kind]} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
    good = judged.values()
    unjudged = len(epochs) - len(judged)
    return "\n".join(
        [
            *lines,
            "",
            f"{len(faults)} faults in {len(judged)} epochs (seeds {_ranges(sorted(judged))}), "
            f"{sum(e['uploads'] for e in good)} uploads of {sum(e['rows'] for e in good):,} rows, "
            f"{sum(e['seconds'] for e in good) / 60:.0f} minutes; "
            f"each fault beside at least {min((len(f['jobs']) for f in faults), default=0)} job that was `processing`; "
            f"violations: {sum(len(epoch['violations']) for epoch in epochs)}; epochs not judged: {unjudged}.",
        ]
    )


def _ranges(numbers: list[int]) -> str:
    """Return the ranges of sorted numbers: `1–3, 5`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{of[0]}–{of[-1]}" if len(of) > 1 else str(of[0]) for of in found)
