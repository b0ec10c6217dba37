"""Uploads, large files and exports at once; then a wait until all is finished, and a check by the faults' checker."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import psycopg

from bulk_pipeline import tables
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.pipeline.cleaning import remove_work_files
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stages.export.formats import Format as ExportFormat
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.faults import evidence
from bulk_pipeline_tests.faults.checker import violations
from bulk_pipeline_tests.faults.evidence import Places
from bulk_pipeline_tests.load import uploads
from bulk_pipeline_tests.load.uploads import Sent
from bulk_pipeline_tests.load.watch import Watch, watching
from bulk_pipeline_tests.rigs.plain_s3 import plain_client

_OPEN = """
    SELECT
        (SELECT count(*) FROM bulk.import_jobs WHERE status IN ('pending', 'processing')),
        (SELECT count(*) FROM bulk.export_jobs WHERE status IN ('pending', 'processing')),
        (SELECT count(*) FROM dagster.runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED'))
"""
_EXPORT_SECONDS = 20.0


@dataclass(frozen=True)
class Load:
    """`per_second` files of `rows` rows for `seconds`; two files of `large_rows` when half of them are sent."""

    per_second: float = 50
    seconds: float = 300
    rows: int = 20
    large_rows: int = 1_000_000
    drain_seconds: float = 1200


def run(rig: Rig, load: Load, tell: Callable[[str], None]) -> dict[str, Any]:
    """Uploads sent, time to drain, answers and memory seen meanwhile, and violations."""
    small = uploads.small(round(load.per_second * load.seconds), load.rows)
    large = uploads.large(load.large_rows)
    tell(f"{len(small):,} files are made")
    given = rig.settings_given
    client = plain_client(
        given["s3_endpoint_url"], given["s3_access_key"], given["s3_secret_key"], connections=40
    )
    with watching(rig) as watch:
        sent, exports = _busy(rig, client, small, large, load)
        tell(f"all are sent: {sent.seconds:.0f} s, {sent.late_seconds:.1f} s late at most; {exports} exports")
        started = time.monotonic()
        left = _drained(rig, client, started + load.drain_seconds, tell)
        drained = time.monotonic() - started
    _clean(rig)
    places = Places(rig.url, client, rig.stores.work.folder, tuple(tables.names()))
    broken = left or violations(evidence.read(places), [*small, *large])
    client.close()
    return {
        "load": asdict(load),
        "files": len(small) + len(large),
        "rows": sum(drop.rows for drop in (*small, *large)),
        "exports": exports,
        "sending_seconds": round(sent.seconds, 1),
        "late_seconds": round(sent.late_seconds, 2),
        "slowest_upload_seconds": round(sent.slowest_seconds, 2),
        "drain_seconds": round(drained, 1),
        "answers": _answers(watch),
        "memory_mb": _memory(watch),
        "unanswered": watch.unanswered,
        "violations": broken,
    }


def _busy(rig: Rig, client: Any, small: list[Any], large: list[Any], load: Load) -> tuple[Sent, int]:
    over = threading.Event()
    with ThreadPoolExecutor(3) as threads:
        exporting = threads.submit(_export, rig, over)
        late = threads.submit(_send_later, client, large, load.seconds / 2, over)
        try:
            sent = uploads.send(client, small, load.per_second)
            late.result()
        finally:
            over.set()
        return sent, exporting.result()


def _send_later(client: Any, drops: list[Any], seconds: float, over: threading.Event) -> None:
    if not over.wait(seconds):
        for drop in drops:
            uploads.put(client, drop)


def _export(rig: Rig, over: threading.Event) -> int:
    """Request exports of every table repeatedly. Return their number."""
    asked = 0
    while True:
        for table in tables.names():
            rig.stores.exports.ask(ExportRequest.of(table=table, format=ExportFormat.CSV))
            asked += 1
        if over.wait(_EXPORT_SECONDS):
            return asked


def _drained(rig: Rig, client: Any, deadline: float, tell: Callable[[str], None]) -> list[str]:
    """Wait until no job is open. Return the number of jobs open at the deadline."""
    told_at = 0.0
    with psycopg.connect(rig.url, autocommit=True) as connection:
        while True:
            lying = client.list_objects_v2(Bucket="uploads", MaxKeys=1).get("KeyCount", 0)  # more costs much
            imports, exports, runs = connection.execute(_OPEN).fetchone() or (0, 0, 0)
            if not (lying or imports or exports or runs):
                return []
            inbox = "files lie in the inbox" if lying else "the inbox is empty"
            told = f"{imports:,} imports, {exports:,} exports and {runs:,} runs are open; {inbox}"
            if time.monotonic() > deadline:
                return [f"not drained: {told}"]
            if time.monotonic() - told_at > 20:
                tell(told)
                told_at = time.monotonic()
            time.sleep(1)


def _clean(rig: Rig) -> None:
    """Run the nightly cleaning: a run with a failed job has kept its ops' outputs for a repetition."""
    stores = Stores(rig.stores.settings.model_copy(update={"bulk_work_retention_hours": 0}))
    remove_work_files(stores)
    stores.close()


def _answers(watch: Watch) -> dict[str, dict[str, float]]:
    return {
        what: {"median": round(median(seconds), 3), "greatest": round(max(seconds), 2), "asked": len(seconds)}
        for what, seconds in watch.answers.items()
    }


def _memory(watch: Watch) -> dict[str, dict[str, int]]:
    """Return the medians of the first, the middle and the last tenth of the time, and the maximum."""
    found: dict[str, dict[str, int]] = {}
    for name, held in watch.memory.items():
        tenth = max(1, len(held) // 10)
        middle = len(held) // 2
        parts = {
            "first": held[:tenth],
            "middle": held[middle : middle + tenth],
            "last": held[-tenth:],
        }
        found[name] = {part: round(median(bytes_) / 1e6) for part, bytes_ in parts.items()}
        found[name]["greatest"] = round(max(held) / 1e6)
    return found
