"""GET /metrics, and what this process counts itself: requests and streams.

Jobs and rows are not counted here but read from the ledger (`ledger_metrics`), so that neither a restart nor a second
process loses or doubles one. Labels never hold ids or names of files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

import bulk_pipeline
from bulk_pipeline.api.checkup import Checkup
from bulk_pipeline.api.ledger_metrics import LedgerMetrics
from bulk_pipeline.stores.postgres import Postgres

router = APIRouter(tags=["operations"])

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STREAM_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)

disable_created_metrics()


class Metrics:
    """What one application exports."""

    def __init__(self, postgres: Postgres, checkup: Checkup) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = Counter(
            "bulk_http_requests",
            "Requests that were answered; status 499: the client left before the answer began.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "bulk_http_request_duration_seconds",
            "From the first byte of a request to the last one of its answer.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._requests_in_flight = Gauge(
            "bulk_http_requests_in_flight", "Requests being answered.", ["method"], registry=registry
        )
        self._streams = Counter(
            "bulk_stream_exports",
            "Exports streamed over HTTP; result: completed, failed, abandoned (the client went away).",
            ["table", "format", "result"],
            registry=registry,
        )
        self._stream_seconds = Histogram(
            "bulk_stream_export_duration_seconds",
            "How long they took.",
            ["table", "format"],
            buckets=_STREAM_SECONDS,
            registry=registry,
        )
        self._stream_rows = Counter(
            "bulk_stream_export_rows", "Rows they have sent.", ["table", "format"], registry=registry
        )
        self._streams_in_flight = Gauge(
            "bulk_stream_exports_in_flight", "Exports being streamed.", ["table", "format"], registry=registry
        )
        Info("bulk_build", "What is running.", registry=registry).info({"version": bulk_pipeline.__version__})
        ProcessCollector(namespace="bulk_api", registry=registry)
        registry.register(LedgerMetrics(postgres, checkup))

    def request_started(self, method: str) -> None:
        self._requests_in_flight.labels(method).inc()

    def request_finished(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests_in_flight.labels(method).dec()
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    @contextmanager
    def streaming(self, table: str, format_: str) -> Iterator["Stream"]:
        """Count an export that is streamed inside the block, however it ends. Tell it how many rows have gone."""
        result, started = "failed", perf_counter()
        in_flight = self._streams_in_flight.labels(table, format_)
        in_flight.inc()
        try:
            yield Stream(self._stream_rows.labels(table, format_))
            result = "completed"
        except Exception:
            raise
        except BaseException:  # the generator is closed, or the task cancelled: nobody listens any more
            result = "abandoned"
            raise
        finally:
            in_flight.dec()
            self._streams.labels(table, format_, result).inc()
            self._stream_seconds.labels(table, format_).observe(perf_counter() - started)


class Stream:
    def __init__(self, rows: Counter) -> None:
        self._rows = rows

    def sent(self, rows: int) -> None:
        """So many rows more have gone to the client."""
        self._rows.inc(rows)


async def _metrics(request: Request) -> Metrics:
    return request.app.state.metrics


MetricsNeed = Annotated[Metrics, Depends(_metrics)]


@router.get(
    "/metrics",
    summary="For Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, metrics: MetricsNeed) -> Response:
    """In the text format of Prometheus, or OpenMetrics if asked for. docs/alerts.md lists what there is."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(metrics.registry), headers={"Content-Type": content_type})
