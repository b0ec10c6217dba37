"""What the ledger says, as metrics. Several processes on one database say the same: take the maximum, not the sum."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as NoAnswer
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
from bulk_pipeline.api.checkup import Checkup
from bulk_pipeline.api.fresh import Fresh
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.stores.export_jobs import ExportStatus
from bulk_pipeline.stores.figures import Figures, Open, Total, figures
from bulk_pipeline.stores.jobs import Status
from bulk_pipeline.stores.postgres import Postgres

M = TypeVar("M", CounterMetricFamily, GaugeMetricFamily)

_KEEP_SECONDS = 1.0
_WAIT_SECONDS = 8.0
"""Prometheus gives up after 10 s; it shall hear of the rest all the same."""
_UNKNOWN = "unknown"
_EXPECTED = {
    "import_jobs": [status for status in Status if status.is_final],
    "export_jobs": [status for status in ExportStatus if status.is_final],
    "rows": ["inserted", "updated", "unchanged", "superseded", "rejected"],
}
"""Whoever computes rates wants to see the first one too: what has not come yet is zero, not absent."""
_KINDS = ("import", "export")
_COUNTERS = (
    ("import_jobs", "bulk_import_jobs", "Imports that are final.", "status"),
    ("export_jobs", "bulk_export_jobs", "Exports that are final.", "status"),
    ("rows", "bulk_rows", "Rows of uploads, by what became of them.", "result"),
    ("failures", "bulk_row_failures", "Broken rules of rows; a row may have several.", "code"),
)
_DURATIONS = (
    ("import_seconds", "bulk_import_job_duration_seconds", "From an import's first attempt to its end."),
    ("export_seconds", "bulk_export_job_duration_seconds", "From an export's first attempt to its end."),
    ("batch_seconds", "bulk_batch_duration_seconds", "One transaction of an import."),
)

_log = structlog.get_logger(__name__)


class LedgerMetrics(Collector):
    """Reads the ledger at a scrape; if it cannot be read, the rest is there all the same."""

    def __init__(self, postgres: Postgres, checkup: Checkup) -> None:
        self._postgres = postgres
        self._checkup = checkup
        self._figures = Fresh(partial(figures, postgres), seconds=_KEEP_SECONDS)

    def describe(self) -> Iterable[Metric]:
        """Nothing: prometheus-client would read the ledger as soon as it is told of us."""
        return ()

    def collect(self) -> Iterator[Metric]:
        problems = self._checkup.problems()
        yield _gauge(
            "bulk_up", "Whether a part answers.", "part", {p: not problem for p, problem in problems.items()}
        )
        pool = self._postgres.connections
        yield _gauge(
            "bulk_database_connections",
            "Connections that this process keeps to Postgres.",
            "state",
            {"idle": pool.idle, "in_use": pool.in_use},
        )
        if problems["database"] is None:
            try:
                found = self._figures.answer().result(_WAIT_SECONDS)
            except (BulkPipelineError, NoAnswer) as error:
                _log.warning("the ledger cannot be read for a scrape", problem=str(error) or "no answer")
                return
            yield from _of_ledger(found)


def _of_ledger(found: Figures) -> Iterator[Metric]:
    for what, name, text, label in _COUNTERS:
        yield _counter(name, text, label, _expected(what) | _by_label(found.totals, what))
    for what, name, text in _DURATIONS:
        yield _histogram(name, text, found.bounds, [t for t in found.totals if t.what == what])
    rows = dict.fromkeys(tables.names(), 0.0)
    rows |= {table: total for (table, _), total in _by_label(found.totals, "export_rows").items()}
    yield _filled(
        CounterMetricFamily("bulk_export_rows", "Rows of finished exports.", labels=["table"]), rows
    )
    for kind in _KINDS:
        yield _in_progress(kind, [one for one in found.open if one.kind == kind])
    yield from _queue(found.open)
    names = dict.fromkeys(tables.names(), 0.0)
    yield _gauge(
        "bulk_rows_per_second",
        "Rows settled in the last minute, divided by 60.",
        "table",
        names | _renamed(found.rows_per_second),
    )
    yield _gauge(
        "bulk_export_last_success_timestamp_seconds",
        "When the last full export of a table was complete.",
        "table",
        _renamed(found.exported_at),
    )
    yield _gauge(
        "bulk_daemon_heartbeat_age_seconds",
        "Since the last heartbeat of a part of Dagster's daemon.",
        "daemon",
        found.signs.heartbeats,
    )
    yield _gauge(
        "bulk_sensor_last_tick_age_seconds",
        "Since the last tick of a sensor began, however it ended.",
        "sensor",
        found.signs.ticks,
    )


def _queue(opened: Iterable[Open]) -> Iterator[Metric]:
    pending = [one for one in opened if one.status == "pending"]
    depth = {kind: sum(one.jobs for one in pending if one.kind == kind) for kind in _KINDS}
    age = {
        kind: max((one.oldest_seconds for one in pending if one.kind == kind), default=0) for kind in _KINDS
    }
    yield _gauge("bulk_queue_depth", "Jobs that no run has begun with.", "kind", depth)
    yield _gauge(
        "bulk_queue_oldest_age_seconds", "Age of the oldest of them; 0 if there is none.", "kind", age
    )


def _in_progress(kind: str, opened: Iterable[Open]) -> Metric:
    jobs = {(table, status): 0.0 for table in tables.names() for status in ("pending", "processing")}
    for one in opened:
        key = (_known_table(one.table), one.status)
        jobs[key] = jobs.get(key, 0) + one.jobs
    text = f"{kind.capitalize()}s that are not final."
    return _filled(GaugeMetricFamily(f"bulk_{kind}_jobs_in_progress", text, labels=["table", "status"]), jobs)


def _expected(what: str) -> dict[tuple[str, str], float]:
    return {(table, str(label)): 0.0 for table in tables.names() for label in _EXPECTED.get(what, [])}


def _by_label(totals: Iterable[Total], what: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for one in totals:
        if one.what == what:
            key = (_known_table(one.table), one.label)
            found[key] = found.get(key, 0.0) + one.total
    return found


def _histogram(name: str, text: str, bounds: Iterable[float], totals: Iterable[Total]) -> Metric:
    metric = HistogramMetricFamily(name, text, labels=["table"])
    kept: dict[str, dict[str, float]] = {}
    for one in totals:
        of_table = kept.setdefault(_known_table(one.table), {})
        of_table[one.label] = of_table.get(one.label, 0.0) + one.total
    for table, counts in sorted(kept.items()):
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


def _renamed(values: Mapping[str, float]) -> dict[str, float]:
    return {_known_table(table): value for table, value in values.items()}


def _known_table(name: str) -> str:
    """The database may have tables that are not ours."""
    return name if name in tables.names() else _UNKNOWN
