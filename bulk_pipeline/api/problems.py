"""What clients are told when something is wrong: our exceptions as status codes, in the words of each family.

Paths under /api/v1 and /v1 answer `{"error": "text"}`, all others `{"detail": …}`.
"""

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bulk_pipeline.api import request_ids
from bulk_pipeline.browsers import HEADERS
from bulk_pipeline.errors import (
    AccountExistsError,
    BulkPipelineError,
    DeclarationError,
    FileError,
    IdempotencyConflictError,
    JobFinishedError,
    JobNotFinishedError,
    NotFoundError,
    RemoteFileError,
    SelectionError,
    TooManyFailuresError,
    UnknownTableError,
    WrongPasswordError,
)

PREFIXES = ("/api/v1", "/v1")
"""Where the clients of users, articles and comments look."""

_API = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}
_DOCS = {
    # FastAPI's page has its script in itself.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
}

_STATUS: dict[type[BulkPipelineError], int] = {
    AccountExistsError: 409,
    WrongPasswordError: 401,
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

_log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(BulkPipelineError, _ours)
    app.add_exception_handler(HTTPException, _said)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)


def is_of_second_family(path: str) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


def word_of(path: str) -> str:
    """The name of the text in the JSON of an error."""
    return "error" if is_of_second_family(path) else "detail"


def headers_of(path: str) -> dict[str, str]:
    """What browsers are told about an answer."""
    return _DOCS if path == "/docs" or path.startswith("/docs/") else _API


def answer(
    request: Request, status: int, told: object, headers: dict[str, str] | None = None
) -> JSONResponse:
    """`told` is a text, or a list of what is wrong with a request's fields. A text is cut at 2,000 characters."""
    if isinstance(told, str) and len(told) > _LONGEST_TEXT:
        told = f"{told[: _LONGEST_TEXT - 1]}…"
    return JSONResponse({word_of(request.url.path): told}, status, headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BulkPipelineError)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
    if status is not None:
        return answer(request, status, str(error), _headers(error))
    if error.retryable:
        _log.warning("a store is down", error=str(error))
        retry = {"Retry-After": str(_RETRY_SECONDS)}
        return answer(request, 503, "a store is down: try again in a moment", retry)
    _log.error("a request failed", error=str(error))
    return answer(request, 500, "the request failed; the server's log says why")


def _headers(error: BulkPipelineError) -> dict[str, str]:
    if isinstance(error, TooManyFailuresError):
        return {"Retry-After": str(error.seconds)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, WrongPasswordError) else {}


async def _said(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(request, error.status_code, error.detail, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Never with the input: it may hold a password. Our own sentences without what pydantic puts before them."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"type": one["type"], "loc": one["loc"], "msg": one["msg"].removeprefix("Value error, ")}
        for one in error.errors()
    ]
    if is_of_second_family(request.url.path):
        told = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in problems)
        return answer(request, 400, told)
    return answer(request, 422, jsonable_encoder(problems))


async def _bug(request: Request, error: Exception) -> JSONResponse:
    """Called outside all middleware, which is why it sees to the request's id and the headers itself."""
    request_id = getattr(request.state, "request_id", "")
    _log.error("a request failed", exc_info=error, request_id=request_id)
    headers = HEADERS | headers_of(request.url.path) | {request_ids.HEADER: request_id}
    return answer(request, 500, "the request failed; the server's log says why", headers)
