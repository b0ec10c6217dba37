"""GET /metrics, on the API's port or on its own, and the metrics of this process: requests and streams.

Jobs and rows are read from the ledger (`ledger_metrics`), so that no restart loses a count and no second process
doubles one. Labels never hold ids or file names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
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
from starlette.types import ASGIApp, Receive, Scope, Send

import bulk_pipeline
from bulk_pipeline.api.health import ReadinessCache
from bulk_pipeline.api.ledger_metrics import LedgerMetrics
from bulk_pipeline.disk import Disk
from bulk_pipeline.postgres.connection import Postgres

router = APIRouter(tags=["operations"])

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STREAM_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)

disable_created_metrics()


class Metrics:
    """The metrics of one application."""

    def __init__(self, postgres: Postgres, readiness: ReadinessCache, disk: Disk) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = Counter(
            "bulk_http_requests",
            "Answered requests; status 499: the client disconnected before the answer began.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "bulk_http_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its answer.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._requests_in_flight = Gauge(
            "bulk_http_requests_in_flight", "Requests being answered.", ["method"], registry=registry
        )
        self._streams = Counter(
            "bulk_stream_exports",
            "Exports streamed over HTTP; result: completed, failed, abandoned (the client disconnected).",
            ["table", "format", "result"],
            registry=registry,
        )
        self._stream_seconds = Histogram(
            "bulk_stream_export_duration_seconds",
            "Duration of streamed exports.",
            ["table", "format"],
            buckets=_STREAM_SECONDS,
            registry=registry,
        )
        self._stream_rows = Counter(
            "bulk_stream_export_rows", "Rows of streamed exports.", ["table", "format"], registry=registry
        )
        self._streams_in_flight = Gauge(
            "bulk_stream_exports_in_flight", "Exports being streamed.", ["table", "format"], registry=registry
        )
        Info("bulk_build", "The running version.", registry=registry).info(
            {"version": bulk_pipeline.__version__}
        )
        ProcessCollector(namespace="bulk_api", registry=registry)
        registry.register(LedgerMetrics(postgres, readiness, disk))

    def request_started(self, method: str) -> None:
        self._requests_in_flight.labels(method).inc()

    def request_finished(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests_in_flight.labels(method).dec()
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    @contextmanager
    def streaming(self, table: str, format_: str) -> Iterator["Stream"]:
        """Count the export that is streamed inside the block, with its result. Yields the counter of its rows."""
        result, started = "failed", perf_counter()
        in_flight = self._streams_in_flight.labels(table, format_)
        in_flight.inc()
        try:
            yield Stream(self._stream_rows.labels(table, format_))
            result = "completed"
        except Exception:
            raise
        except BaseException:  # the generator is closed or the task cancelled: the client has disconnected
            result = "abandoned"
            raise
        finally:
            in_flight.dec()
            self._streams.labels(table, format_, result).inc()
            self._stream_seconds.labels(table, format_).observe(perf_counter() - started)


class Stream:
    """Counts the rows of one streamed export."""

    def __init__(self, rows: Counter) -> None:
        self._rows = rows

    def add_rows(self, rows: int) -> None:
        self._rows.inc(rows)


async def _metrics(request: Request) -> Metrics:
    return request.app.state.metrics


MetricsNeed = Annotated[Metrics, Depends(_metrics)]


@router.get(
    "/metrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, metrics: MetricsNeed) -> Response:
    """Returns the text format of Prometheus or, by the Accept header, OpenMetrics. docs/alerts.md lists the metrics."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(metrics.registry), headers={"Content-Type": content_type})


def split_by_port(api: FastAPI, metrics_port: int) -> ASGIApp:
    """Return an application that answers `/metrics` on `metrics_port` (`METRICS_PORT`), and the API on other ports.

    The port is that of the accepted connection, which no header can change.
    """
    own = FastAPI(openapi_url=None)
    own.state.metrics = api.state.metrics
    own.include_router(router)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")  # absent in lifespan messages
        is_own = server is not None and server[1] == metrics_port
        await (own if is_own else api)(scope, receive, send)

    return serve
