"""The error answers of the OpenAPI document, so that each route names those it gives."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from bulk_pipeline.api.problems import PREFIXES


class Detail(BaseModel):
    """What is wrong, for clients of `customers`."""

    detail: str


class Problem(BaseModel):
    """What is wrong, for clients of /api/v1."""

    error: str


Answers = dict[int | str, dict[str, Any]]  # FastAPI's own type of it


def _said(status: int, description: str) -> Answers:
    return {status: {"model": Detail, "description": description}}


BAD_REQUEST = _said(400, "The request cannot be met; the text says what would be right")
UNAUTHORIZED = _said(401, "No token, or none that is good")
NOT_FOUND = _said(404, "There is no such thing, or it is somebody else's")
CONFLICT = _said(409, "It does not fit what is there already")
GONE = _said(410, "The file has expired")
TOO_LARGE = _said(413, "The file is larger than is allowed")
TOO_MANY = _said(429, "Too many; Retry-After says when to try again")
STORE_DOWN = _said(503, "A store is down; Retry-After says when to try again")


def in_second_family(*answers: Answers) -> Answers:
    """The same in the words of /api/v1."""
    return {status: said | {"model": Problem} for some in answers for status, said in some.items()}


def tidy(app: FastAPI) -> None:
    """Take out of the document what FastAPI puts in and nobody is answered: under /api/v1 a 422 is a 400."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        for path, calls in document["paths"].items():
            for call in calls.values() if path.startswith(PREFIXES) else ():
                call["responses"].pop("422", None)
        return document

    app.openapi = openapi
