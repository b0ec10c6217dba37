"""ASGI middleware of the API: request ids, the access log with its metrics, and the limit of a body.

Streams pass through all of it untouched. `disconnects` and `browsers.Guard` are middleware too.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any
from uuid import UUID

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bulk_pipeline.api.errors import METHODS, PREFIXES, REQUEST_ID_HEADER
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.office import pages

MOST_BODY_BYTES = 64_000

_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_PREFIXES = (*PREFIXES, pages.PREFIX)
_PROBES = {"/live", "/ready", "/health", "/metrics"}
_CLIENT_LEFT = 499
"""nginx's status for a client that disconnected before the answer began."""

_log = structlog.get_logger("bulk_pipeline.api")


class RequestIds:
    """Gives every request an id: the client's X-Request-ID or a new one. It is echoed, logged and kept with the job."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        of_client = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = of_client if _SAFE_ID.fullmatch(of_client) else new_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


class AccessLog:
    """Counts and times every request, and logs one line about it, without its body, query or headers.

    Successful probes are not logged. Handlers may add `request.state.account_id` and `request.state.job_id`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        answer = _Answer(send)
        started = perf_counter()
        self._metrics.request_started(method)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            if answer.status is None:  # the exception's handler answers
                answer.status, answer.is_complete = 500, True
            raise
        finally:
            seconds = perf_counter() - started
            route, status = _route(scope), answer.status or _CLIENT_LEFT
            self._metrics.request_finished(method, route, status, seconds)
            if route not in _PROBES or status >= 400:
                _log_request(scope, method, route, status, seconds, is_complete=answer.is_complete)


class BodyLimit:
    """Refuses a body larger than `MOST_BODY_BYTES`, unless the route calls `lift_body_limit` and counts it itself.

    FastAPI reads the whole body into memory, and parses JSON on the event loop, before it checks the token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MOST_BODY_BYTES and not state.get("counts_its_body"):
                raise HTTPException(413, f"the request's body is larger than {MOST_BODY_BYTES:,} bytes")
            return message

        await self._app(scope, receive_counted, send)


def lift_body_limit(request: Request) -> None:
    """Let this request have a larger body. Its route must count the bytes, and not hold them in memory."""
    request.state.counts_its_body = True


class _Answer:
    """Passes an answer on, and notes its status and whether it is complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.is_complete = False

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.is_complete = not message.get("more_body", False)


def _route(scope: Scope) -> str:
    """Return the path as declared, with parameter names in place of ids; `unmatched` for unknown paths."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "unmatched"
    # A router that is included under several prefixes knows its paths without them.
    prefix = next((prefix for prefix in _PREFIXES if f"{scope['path']}/".startswith(f"{prefix}/")), "")
    return path if path.startswith(prefix) else prefix + path


def _log_request(
    scope: Scope, method: str, route: str, status: int, seconds: float, *, is_complete: bool
) -> None:
    state: Mapping[str, Any] = scope.get("state", {})
    ids = {"account_id": state.get("account_id"), "job_id": state.get("job_id") or _job_id(scope)}
    fields = {name: str(value) for name, value in ids.items() if value is not None}
    if not is_complete:
        fields["broken_off"] = "the answer is not complete"
    _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **fields)


def _job_id(scope: Scope) -> str | None:
    """Return the UUID in the path, if there is one."""
    for value in scope.get("path_params", {}).values():
        with suppress(ValueError):
            return str(UUID(str(value)))
    return None
