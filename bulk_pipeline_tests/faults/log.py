"""The log of faults: JSON lines, of which an epoch's are written together when it is over."""

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
    """The epochs that are done."""
    return {record["seed"] for record in records if record["record"] == "epoch"}


def table(records: list[Record]) -> str:
    """Faults by kind with the seconds until all jobs that were struck had finished; then the sums. Markdown."""
    faults = [record for record in records if record["record"] == "fault"]
    epochs = [record for record in records if record["record"] == "epoch"]
    counts = Counter(fault["kind"] for fault in faults)
    took: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        if fault["recovery_seconds"] is not None:
            took[fault["kind"]].append(fault["recovery_seconds"])
    lines = ["| fault | times | median s to recover | longest |", "|---|---|---|---|"]
    for kind in sorted(counts):
        seconds = took[kind] or [float("nan")]
        lines.append(f"| {kind} | {counts[kind]} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")
    broken = sum(len(epoch["violations"]) for epoch in epochs)
    return "\n".join(
        [
            *lines,
            "",
            f"{len(faults)} faults in {len(epochs)} epochs, {sum(e['uploads'] for e in epochs)} uploads of "
            f"{sum(e['rows'] for e in epochs):,} rows; violations: {broken}",
        ]
    )
