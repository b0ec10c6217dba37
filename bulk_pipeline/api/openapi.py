"""Error answers for the OpenAPI document, and corrections of it. Each route declares the errors it returns."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from bulk_pipeline import tables
from bulk_pipeline.api.errors import PREFIXES


class Detail(BaseModel):
    """An error, for clients of `customers`."""

    detail: str


class Problem(BaseModel):
    """An error, for clients of /api/v1."""

    error: str


_NAMES = "<tables>"
TABLE_NAME: dict[str, Any] = {"type": "string", "enum": [_NAMES]}
"""The schema of a table's name. The document has the names of the tables that are served when it is made."""

Answers = dict[int | str, dict[str, Any]]  # FastAPI's own type


def _error(status: int, description: str) -> Answers:
    return {status: {"model": Detail, "description": description}}


BAD_REQUEST = _error(400, "The request is invalid; the text says what is expected")
UNAUTHORIZED = _error(401, "The token is missing, invalid or expired")
FORBIDDEN = _error(403, "The account lacks the right to do this with this table; the text names the right")
CLOSED = _error(403, "Registration is closed; the text says who creates accounts")
NOT_FOUND = _error(404, "It does not exist, or belongs to another account")
CONFLICT = _error(409, "The request conflicts with the current state; the text says how")
GONE = _error(410, "The file has expired")
TOO_LARGE = _error(413, "The request is larger than the limit")
TOO_MANY = _error(429, "Too many requests; Retry-After says when to try again")
STORE_DOWN = _error(503, "A store is unavailable; Retry-After says when to try again")


def versioned(*answers: Answers) -> Answers:
    """Return the answers with the error model of /api/v1."""
    return {status: fields | {"model": Problem} for some in answers for status, fields in some.items()}


def correct(app: FastAPI, *, token_required: bool) -> None:
    """Correct FastAPI's document for /api/v1: 400 in place of 422, an optional token where none is required, and the
    names of tables."""
    generate = app.openapi
    described: tuple[str, ...] | None = None

    def openapi() -> dict[str, Any]:
        nonlocal described
        if described == tables.names() and app.openapi_schema:
            return app.openapi_schema
        described, app.openapi_schema = tables.names(), None
        document = _filled(generate(), list(described))
        for path, calls in document["paths"].items():
            for call in calls.values() if path.startswith(PREFIXES) else ():
                call["responses"].pop("422", None)
                if not token_required:
                    call["security"] = [*call["security"], {}]
        app.openapi_schema = document
        return document

    app.openapi = openapi


def _filled(part: Any, names: list[str]) -> Any:
    """Return the part of the document with the names of the tables where `TABLE_NAME` is."""
    match part:
        case {"enum": [mark]} if mark == _NAMES:
            return part | {"enum": names}
        case dict():
            return {key: _filled(value, names) for key, value in part.items()}
        case list():
            return [_filled(value, names) for value in part]
    return part
