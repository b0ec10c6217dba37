"""Metrics read from the ledger. All processes on one database report the same: take the maximum, not the sum."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as TimedOut
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bulk_pipeline import tables
from bulk_pipeline.api.caching import TimedCache
from bulk_pipeline.api.health import ReadinessCache
from bulk_pipeline.disk import Disk, Place
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.ledger.export_jobs import ExportStatus
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.ledger.metrics import LedgerFigures, Open, Total, figures
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.stages.counts import COUNTERS

M = TypeVar("M", CounterMetricFamily, GaugeMetricFamily)

_KEEP_SECONDS = 1.0
_WAIT_SECONDS = 8.0
"""Below Prometheus's timeout of 10 s, so that it gets the other metrics in any case."""
_UNKNOWN = "unknown"
_EXPECTED = {
    "import_jobs": [status for status in Status if status.is_final],
    "export_jobs": [status for status in ExportStatus if status.is_final],
    "rows": COUNTERS,
}
"""Labels exported as zero from the start, because a rate misses the first increment of a series that appears late."""
_KINDS = ("import", "export")
_COUNTERS = (
    ("import_jobs", "bulk_import_jobs", "Finished imports.", "status"),
    ("export_jobs", "bulk_export_jobs", "Finished exports.", "status"),
    ("rows", "bulk_rows", "Rows of uploads, by result.", "result"),
    ("failures", "bulk_row_failures", "Failures of rows; a row may have several.", "code"),
)
_DURATIONS = (
    (
        "import_seconds",
        "bulk_import_job_duration_seconds",
        "Time from the start of an import's first attempt to its end.",
    ),
    (
        "export_seconds",
        "bulk_export_job_duration_seconds",
        "Time from the start of an export's first attempt to its end.",
    ),
    ("batch_seconds", "bulk_batch_duration_seconds", "Duration of a batch, one transaction of an import."),
)

_DISK: tuple[tuple[str, str, Callable[[Place], int]], ...] = (
    ("bulk_disk_free_bytes", "Free bytes on a file system of this machine.", lambda place: place.free_bytes),
    ("bulk_disk_needed_bytes", "Bytes that must be free for imports.", lambda place: place.needed_bytes),
)

_log = structlog.get_logger(__name__)


class LedgerMetrics(Collector):
    """Reads the ledger at a scrape. If that fails, the other metrics are still exported."""

    def __init__(self, postgres: Postgres, readiness: ReadinessCache, disk: Disk) -> None:
        self._postgres = postgres
        self._disk = disk
        self._readiness = readiness
        self._figures = TimedCache(partial(figures, postgres), seconds=_KEEP_SECONDS)

    def describe(self) -> Iterable[Metric]:
        """Return nothing. Without this, prometheus-client reads the ledger when the collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        problems = self._readiness.problems()
        yield _gauge(
            "bulk_up", "1 if the part answers, else 0.", "part", {p: not text for p, text in problems.items()}
        )
        with suppress(OSError):
            places = self._disk.places()
            for name, text, value in _DISK:
                yield _gauge(name, text, "place", {place.name: value(place) for place in places})
        pool = self._postgres.connections
        yield _gauge(
            "bulk_database_connections",
            "Connections of this process to Postgres.",
            "state",
            {"idle": pool.idle, "in_use": pool.in_use},
        )
        if problems["database"] is None:
            try:
                ledger = self._figures.result().result(_WAIT_SECONDS)
            except (BulkPipelineError, TimedOut) as error:
                _log.warning("the ledger cannot be read for a scrape", problem=str(error) or "no answer")
                return
            yield from _of_ledger(ledger)


def _of_ledger(ledger: LedgerFigures) -> Iterator[Metric]:
    for what, name, text, label in _COUNTERS:
        yield _counter(name, text, label, _expected(what) | _by_label(ledger.totals, what))
    for what, name, text in _DURATIONS:
        yield _histogram(name, text, ledger.bounds, [t for t in ledger.totals if t.what == what])
    rows = dict.fromkeys(tables.names(), 0.0)
    rows |= {table: total for (table, _), total in _by_label(ledger.totals, "export_rows").items()}
    yield _filled(
        CounterMetricFamily("bulk_export_rows", "Rows of finished exports.", labels=["table"]), rows
    )
    for kind in _KINDS:
        yield _in_progress(kind, [group for group in ledger.open if group.kind == kind])
    yield from _queue(ledger.open)
    names = dict.fromkeys(tables.names(), 0.0)
    yield _gauge(
        "bulk_rows_per_second",
        "Rows processed in the last minute, divided by 60.",
        "table",
        names | _by_table(ledger.rows_per_second),
    )
    yield _gauge(
        "bulk_export_last_success_timestamp_seconds",
        "Time at which the last full export of a table was completed.",
        "table",
        _by_table(ledger.exported_at),
    )
    yield _gauge(
        "bulk_notifications",
        "Messages to people that are not sent.",
        "status",
        {"waiting": 0, "undeliverable": 0} | dict(ledger.messages),
    )
    yield _gauge(
        "bulk_daemon_heartbeat_age_seconds",
        "Age of the last heartbeat of a part of Dagster's daemon.",
        "daemon",
        ledger.signs.heartbeats,
    )
    yield _gauge(
        "bulk_sensor_last_tick_age_seconds",
        "Time since the start of a sensor's last tick, successful or not.",
        "sensor",
        ledger.signs.ticks,
    )


def _queue(groups: Iterable[Open]) -> Iterator[Metric]:
    pending = [group for group in groups if group.status == "pending"]
    depth = {kind: sum(group.jobs for group in pending if group.kind == kind) for kind in _KINDS}
    age = {
        kind: max((group.oldest_seconds for group in pending if group.kind == kind), default=0)
        for kind in _KINDS
    }
    yield _gauge("bulk_queue_depth", "Jobs that no run has started.", "kind", depth)
    yield _gauge(
        "bulk_queue_oldest_age_seconds", "Age of the oldest job in the queue; 0 if it is empty.", "kind", age
    )


def _in_progress(kind: str, groups: Iterable[Open]) -> Metric:
    jobs = {(table, status): 0.0 for table in tables.names() for status in ("pending", "processing")}
    for group in groups:
        key = (_known_table(group.table), group.status)
        jobs[key] = jobs.get(key, 0) + group.jobs
    text = f"{kind.capitalize()}s that are pending or processing."
    return _filled(GaugeMetricFamily(f"bulk_{kind}_jobs_in_progress", text, labels=["table", "status"]), jobs)


def _expected(what: str) -> dict[tuple[str, str], float]:
    return {(table, str(label)): 0.0 for table in tables.names() for label in _EXPECTED.get(what, [])}


def _by_label(totals: Iterable[Total], what: str) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], float] = {}
    for total in totals:
        if total.what == what:
            key = (_known_table(total.table), total.label)
            sums[key] = sums.get(key, 0.0) + total.total
    return sums


def _histogram(name: str, text: str, bounds: Iterable[float], totals: Iterable[Total]) -> Metric:
    metric = HistogramMetricFamily(name, text, labels=["table"])
    by_table: dict[str, dict[str, float]] = {}
    for total in totals:
        of_table = by_table.setdefault(_known_table(total.table), {})
        of_table[total.label] = of_table.get(total.label, 0.0) + total.total
    for table, counts in sorted(by_table.items()):
        by_bound = {float(bound): count for bound, count in counts.items() if bound not in ("sum", "more")}
        count, buckets = 0.0, list[tuple[str, float]]()
        for bound in bounds:
            count += by_bound.get(bound, 0.0)
            buckets.append((floatToGoString(bound), count))
        buckets.append(("+Inf", count + counts.get("more", 0.0)))
        metric.add_metric([table], buckets, counts.get("sum", 0.0))
    return metric


def _counter(name: str, text: str, label: str, totals: Mapping[tuple[str, str], float]) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=["table", label]), totals)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=[label]), values)


def _filled(metric: M, values: Mapping[str, float] | Mapping[tuple[str, str], float]) -> M:
    for labels, value in sorted(values.items()):
        metric.add_metric([labels] if isinstance(labels, str) else list(labels), float(value))
    return metric


def _by_table(values: Mapping[str, float]) -> dict[str, float]:
    return {_known_table(table): value for table, value in values.items()}


def _known_table(name: str) -> str:
    """Return the name, or `unknown` for a table that is not declared here."""
    return name if name in tables.names() else _UNKNOWN
