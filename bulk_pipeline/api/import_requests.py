"""Reads the body of POST /imports under /api/v1: a form with a file, or JSON with a file's URL.

Problems are checked in a fixed order, on which clients rely.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any
from uuid import UUID

import httpx2
from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData, UploadFile

from bulk_pipeline import tables
from bulk_pipeline.api import openapi
from bulk_pipeline.api.request_parts import file_body, file_of, is_json, json_object, read_key, text_of
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Mode, UploadFormat, charset_of, read_format
from bulk_pipeline.schema.upload_format import DECLARATIONS, Kind
from bulk_pipeline.stages import file_formats
from bulk_pipeline.stages.formats import imported_names
from bulk_pipeline.web.fetch import parse_url

MODE_NAMES = {Mode.INSERT_ONLY: "insert", Mode.UPSERT: "upsert"}
"""The API's names of the modes; the modes' own names are accepted too."""

_MODES = {**{mode.value: mode for mode in Mode}, **{name: mode for mode, name in MODE_NAMES.items()}}
_JSON_BYTES = 64_000
_DECLARED_FIELDS: dict[str, Any] = {
    part.name: {"type": "string", "description": part.help, "examples": [part.example]}
    | ({"enum": [*part.words]} if part.words and part.kind is not Kind.CHARACTER else {})
    for part in DECLARATIONS
}
"""Fields that declare the format of the file."""


@dataclass(frozen=True)
class JsonBody:
    """The members of a JSON object, all of them texts; `null` counts as absent."""

    texts: dict[str, str]


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import. `key`: the idempotency key."""

    table: str
    mode: Mode
    key: str | None
    format: UploadFormat


@dataclass(frozen=True)
class RemoteAddress:
    """The URL of a file, and its format if the request names one."""

    url: httpx2.URL = field(repr=False)
    format: str | None


async def _json(request: Request) -> JsonBody | None:
    if not is_json(request):
        return None
    members = await json_object(request, _JSON_BYTES)
    for name, value in members.items():
        if value is not None and not isinstance(value, str):
            raise HTTPException(400, f"{name!r} must be a string")
    return JsonBody({name: value for name, value in members.items() if value is not None})


JsonNeed = Annotated[JsonBody | None, Depends(_json)]
"""The JSON body; None if the content type is another one."""


def of_form(form: FormData, mode: str | None, key: str | None) -> tuple[ImportOptions, UploadFile]:
    """Return the options of a form, and its file. `mode`, `key`: of query and header, used if no field has them."""
    name = "resource" if text_of(form, "resource") and not text_of(form, "resource_type") else "resource_type"
    table = _table(text_of(form, name), name)
    token = _key(text_of(form, "idempotency_token"), key)
    file = file_of(form)
    if file is None:
        raise HTTPException(400, "file is required")
    texts = {part.name: text for part in DECLARATIONS if (text := text_of(form, part.name))}
    format_ = _format(texts, table).over(UploadFormat(encoding=charset_of(file.content_type or "")))
    return ImportOptions(table, _mode(text_of(form, "mode") or mode, table), token, format_), file


def of_json(body: JsonBody, mode: str | None, key: str | None) -> tuple[ImportOptions, RemoteAddress]:
    """Return the options of a JSON body, and its file's URL. Raises `RemoteFileError` for an invalid URL."""
    texts = body.texts
    table = _table(texts.get("resource") or texts.get("resource_type"), "resource")
    token = _key(texts.get("idempotency_token"), key)
    if not texts.get("file_url"):
        raise HTTPException(400, "file_url is required")
    url, format_ = parse_url(texts["file_url"]), texts.get("format")
    if format_ and format_ not in imported_names():
        raise HTTPException(400, f"format must be one of: {', '.join(imported_names())}")
    options = ImportOptions(table, _mode(texts.get("mode") or mode, table), token, _format(texts, table))
    return options, RemoteAddress(url, format_)


def with_format(name: str, format_: str | None) -> str:
    """Return the file name with that format as its extension. The extension is used only where the content is
    ambiguous."""
    packings, format_of_name = file_formats.by_name(name)
    if not format_ or format_of_name == format_:
        return name
    suffixes = PurePosixPath(name).suffixes
    ending = "".join(suffixes[len(suffixes) - len(packings) :])
    return f"{name.removesuffix(ending)}.{format_}{ending}"


def documented_bodies() -> dict[str, Any]:
    """Return the OpenAPI description of both bodies."""
    resource = openapi.TABLE_NAME | {"examples": ["users"]}
    mode = {
        "type": "string",
        "enum": [*MODE_NAMES.values()],
        "description": "what to do with rows whose key exists; insert rejects them, and is the default",
    }
    token = {"type": "string", "format": "uuid", "description": "a repeated token returns the same job"}
    fields = {"resource_type": resource, "mode": mode, "idempotency_token": token, **_DECLARED_FIELDS}
    file_url = {"type": "string", "format": "uri", "examples": ["https://example.com/users.csv"]}
    members = {
        "resource": resource,
        "file_url": file_url,
        "format": {"type": "string", "enum": list(imported_names())},
        "mode": mode,
        "idempotency_token": token,
        **_DECLARED_FIELDS,
    }
    remote = {"type": "object", "properties": members, "required": ["resource", "file_url"]}
    documented = file_body(fields, required=("resource_type", "file"))
    documented["requestBody"]["content"]["application/json"] = {"schema": remote}
    return documented


def _table(table: str | None, name: str) -> str:
    if not table:
        raise HTTPException(400, f"{name} is required")
    if table not in tables.names():
        raise HTTPException(400, f"{name} must be one of: {', '.join(tables.names())}")
    return table


def _key(token: str | None, header: str | None) -> str | None:
    """Return the token of the body, else the key of the header."""
    if token:
        try:
            return str(UUID(token))
        except ValueError:
            raise HTTPException(400, "idempotency_token must be a valid UUID") from None
    key = read_key(header)
    try:
        return key and str(UUID(key))  # in the form of a token in the body
    except ValueError:
        return key


def _format(texts: Mapping[str, str], table: str) -> UploadFormat:
    try:
        declared = read_format(texts)
        tables.get(table).format_of(declared)
    except DeclarationError as error:
        raise HTTPException(400, str(error)) from error
    return declared


def _mode(name: str | None, table: str) -> Mode:
    if not name:
        return tables.get(table).default_mode
    if name not in _MODES:
        raise HTTPException(400, f"mode must be one of: {', '.join(MODE_NAMES.values())}")
    return _MODES[name]
