"""`/metrics` on a port of its own (`METRICS_PORT`), served by the process and the event loop of the API."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from bulk_pipeline.api import metrics


def split_by_port(api: FastAPI, metrics_port: int) -> ASGIApp:
    """Return an application that answers `/metrics` on `metrics_port`, and the API's paths on every other port.

    The port is the one that the connection was accepted on. Nothing that a client sends decides it.
    """
    own = FastAPI(openapi_url=None)
    own.state.metrics = api.state.metrics
    own.include_router(metrics.router)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")  # absent from the messages about start and shutdown
        is_own = server is not None and server[1] == metrics_port
        await (own if is_own else api)(scope, receive, send)

    return serve
