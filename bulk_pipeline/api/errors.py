"""Exceptions as HTTP answers. Paths under /api/v1 and /v1 answer `{"error": "text"}`, all others `{"detail": …}`."""

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from bulk_pipeline.browsers import HEADERS
from bulk_pipeline.errors import (
    AccountExistsError,
    BulkPipelineError,
    DeclarationError,
    FileError,
    IdempotencyConflictError,
    JobFinishedError,
    JobNotFinishedError,
    MissingRightError,
    NotFoundError,
    RegistrationClosedError,
    RemoteFileError,
    SelectionError,
    TooManyFailuresError,
    UnknownTableError,
    WrongPasswordError,
)
from bulk_pipeline.office import pages

PREFIXES = ("/api/v1", "/v1")
"""Prefixes of the API for users, articles and comments."""

REQUEST_ID_HEADER = "X-Request-ID"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_API = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}
_DOCS = {
    # FastAPI's page has an inline script.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
}

_STATUS: dict[type[BulkPipelineError], int] = {
    AccountExistsError: 409,
    WrongPasswordError: 401,
    RegistrationClosedError: 403,
    MissingRightError: 403,
    TooManyFailuresError: 429,
    NotFoundError: 404,
    JobNotFinishedError: 409,
    JobFinishedError: 409,
    IdempotencyConflictError: 409,
    SelectionError: 400,
    DeclarationError: 400,
    RemoteFileError: 400,
    UnknownTableError: 400,
    FileError: 400,
}
_RETRY_SECONDS = 5
_LONGEST_TEXT = 2000
_FAILED = "the request failed; the server's log says why"

_log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Register the exception handlers."""
    app.add_exception_handler(BulkPipelineError, _pipeline_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected_error)


def is_versioned(path: str) -> bool:
    """Return whether the path is under one of the `PREFIXES`."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


def member_of(path: str) -> str:
    """Return the JSON member that holds the message of an error."""
    return "error" if is_versioned(path) else "detail"


def headers_of(path: str) -> dict[str, str]:
    """Return the headers for browsers of every answer on the path."""
    if pages.is_office(path):
        return pages.HEADERS
    return _DOCS if path == "/docs" or path.startswith("/docs/") else _API


def answer(request: Request, status: int, detail: object, headers: dict[str, str] | None = None) -> Response:
    """Return an error. `detail`: a text, which is cut at 2,000 characters, or a list of invalid fields.

    Below /office it is a page.
    """
    if pages.is_office(request.url.path):
        return pages.error_page(request, status, detail, headers or {})
    if isinstance(detail, str) and len(detail) > _LONGEST_TEXT:
        detail = f"{detail[: _LONGEST_TEXT - 1]}…"
    return JSONResponse({member_of(request.url.path): detail}, status, headers)


async def _pipeline_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BulkPipelineError)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
    if status is not None:
        return answer(request, status, str(error), _headers(error))
    if error.retryable:
        _log.warning("a store is unavailable", error=str(error))
        retry = {"Retry-After": str(_RETRY_SECONDS)}
        return answer(request, 503, "a store is unavailable: try again in a moment", retry)
    _log.error("a request failed", error=str(error))
    return answer(request, 500, _FAILED)


def _headers(error: BulkPipelineError) -> dict[str, str]:
    if isinstance(error, TooManyFailuresError):
        return {"Retry-After": str(error.seconds)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, WrongPasswordError) else {}


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return answer(request, error.status_code, error.detail, headers)


def _methods(request: Request) -> list[str]:
    """Return the methods of the path. Starlette's own answer names only those of the first matching route."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _invalid_request(request: Request, error: Exception) -> Response:
    """Answer without the input, which may hold a password, and without the prefix that pydantic adds to messages."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"type": problem["type"], "loc": problem["loc"], "msg": problem["msg"].removeprefix("Value error, ")}
        for problem in error.errors()
    ]
    if is_versioned(request.url.path):
        texts = (f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}" for problem in problems)
        return answer(request, 400, "; ".join(texts))
    return answer(request, 422, jsonable_encoder(problems))


async def _unexpected_error(request: Request, error: Exception) -> Response:
    """Answer and log. Starlette calls this outside all middleware, so the request id and the headers are added here."""
    request_id = getattr(request.state, "request_id", "")
    _log.error("a request failed", exc_info=error, request_id=request_id)
    headers = HEADERS | headers_of(request.url.path) | {REQUEST_ID_HEADER: request_id}
    return answer(request, 500, _FAILED, headers)
