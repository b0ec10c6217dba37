"""Every request is counted and timed, and told of in one line of the log: never its body, its query or its headers.

Handlers may add whom and what it is about: `request.state.account_id`, `request.state.job_id`.
"""

from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any
from uuid import UUID

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.api.problems import PREFIXES

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PROBES = {"/live", "/ready", "/health", "/metrics"}
_CLIENT_LEFT = 499
"""As nginx says it: the client went away before an answer began."""

_log = structlog.get_logger("bulk_pipeline.api")


class Access:
    """ASGI middleware, so that streams pass through it untouched. Probes that go well are not told of."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        answer = _Answer(send)
        started = perf_counter()
        self._metrics.request_started(method)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            if answer.status is None:  # whoever catches it answers in our place
                answer.status, answer.is_complete = 500, True
            raise
        finally:
            seconds = perf_counter() - started
            route, status = _route(scope), answer.status or _CLIENT_LEFT
            self._metrics.request_finished(method, route, status, seconds)
            if route not in _PROBES or status >= 400:
                _tell(scope, method, route, status, seconds, is_complete=answer.is_complete)


class _Answer:
    """What has been sent so far."""

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
    """The path as it was declared, with names in place of ids; for what is nowhere declared, one word."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "unmatched"
    # A router that is included under several prefixes knows its paths without them.
    prefix = next((prefix for prefix in PREFIXES if scope["path"].startswith(f"{prefix}/")), "")
    return path if path.startswith(prefix) else prefix + path


def _tell(scope: Scope, method: str, route: str, status: int, seconds: float, *, is_complete: bool) -> None:
    state: Mapping[str, Any] = scope.get("state", {})
    about = {"account_id": state.get("account_id"), "job_id": state.get("job_id") or _job_id(scope)}
    told = {name: str(value) for name, value in about.items() if value is not None}
    if not is_complete:
        told["broken_off"] = "the answer is not complete"
    _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **told)


def _job_id(scope: Scope) -> str | None:
    """The id in the path, if it is one."""
    for value in scope.get("path_params", {}).values():
        with suppress(ValueError):
            return str(UUID(str(value)))
    return None
