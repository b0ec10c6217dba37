"""What POST /imports of /api/v1 is given: a form with a file, or JSON with a file's address.

What is wrong with it is looked for in a fixed order, which clients rely on.
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
from bulk_pipeline.api.idempotency_keys import read_key
from bulk_pipeline.api.json_bodies import is_json, json_object
from bulk_pipeline.api.uploads import file_body, file_of, text_of
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Mode, UploadFormat, charset_of, read_format
from bulk_pipeline.schema.upload_format import DECLARATIONS
from bulk_pipeline.stages import file_formats
from bulk_pipeline.stores.remote_files import parse_url

MODES = {"insert": Mode.INSERT_ONLY, "upsert": Mode.UPSERT, "insert_only": Mode.INSERT_ONLY}
FORMATS = ("csv", "ndjson", "json", "parquet", "xlsx")
_JSON_BYTES = 64_000
_DECLARED_FIELDS: dict[str, Any] = {
    "encoding": {
        "type": "string",
        "description": "code page of text that is not Unicode",
        "examples": ["cp1252"],
    },
    "header": {"type": "string", "enum": ["none"], "description": "the first line is a row"},
    "columns": {
        "type": "string",
        "description": "the table's columns for names in the file",
        "examples": ["E-Mail=email, Ort=city"],
    },
    "sheet": {"type": "string", "description": "the sheet of a workbook that holds the rows"},
    "records": {"type": "string", "description": "the key of a JSON document that holds the rows"},
}
"""How the file is to be read, where it does not say so itself."""


@dataclass(frozen=True)
class JsonBody:
    """The members of a JSON object that are texts; `null` counts as absent."""

    texts: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """What an import is to do. `key`: the idempotency key."""

    table: str
    mode: Mode
    key: str | None
    format: UploadFormat


@dataclass(frozen=True)
class RemoteAddress:
    """Where a file is to be fetched, and the format it is said to have."""

    url: httpx2.URL = field(repr=False)
    format: str | None


async def _json(request: Request) -> JsonBody | None:
    if not is_json(request):
        return None
    given = await json_object(request, _JSON_BYTES)
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise HTTPException(400, f"{name!r} must be a text")
    return JsonBody({name: value for name, value in given.items() if value is not None})


JsonNeed = Annotated[JsonBody | None, Depends(_json)]
"""The JSON body; None if the request is of another type."""


def asked_in_form(form: FormData, mode: str | None, key: str | None) -> tuple[Asked, UploadFile]:
    """What a form asks for, and its file. `mode`, `key`: what the query and the header say instead of a field."""
    name = "resource" if text_of(form, "resource") and not text_of(form, "resource_type") else "resource_type"
    table = _table(text_of(form, name), name)
    token = _key(text_of(form, "idempotency_token"), key)
    file = file_of(form)
    if file is None:
        raise HTTPException(400, "file is required")
    texts = {name: text for name in DECLARATIONS if (text := text_of(form, name))}
    format_ = _format(texts).over(UploadFormat(encoding=charset_of(file.content_type or "")))
    return Asked(table, _mode(text_of(form, "mode") or mode, table), token, format_), file


def asked_in_json(body: JsonBody, mode: str | None, key: str | None) -> tuple[Asked, RemoteAddress]:
    """What a JSON body asks for, and where its file is. `RemoteFileError` if that is no address."""
    given = body.texts
    table = _table(given.get("resource") or given.get("resource_type"), "resource")
    token = _key(given.get("idempotency_token"), key)
    if not given.get("file_url"):
        raise HTTPException(400, "file_url is required")
    url, format_ = parse_url(given["file_url"]), given.get("format")
    if format_ and format_ not in FORMATS:
        raise HTTPException(400, f"format must be one of: {', '.join(FORMATS)}")
    asked = Asked(table, _mode(given.get("mode") or mode, table), token, _format(given))
    return asked, RemoteAddress(url, format_)


def named(name: str, format_: str | None) -> str:
    """The file's name with that format in it, which decides where the content leaves it open."""
    packings, said = file_formats.by_name(name)
    if not format_ or said == format_:
        return name
    suffixes = PurePosixPath(name).suffixes
    ending = "".join(suffixes[len(suffixes) - len(packings) :])
    return f"{name.removesuffix(ending)}.{format_}{ending}"


def documented_bodies() -> dict[str, Any]:
    """Both bodies, for the OpenAPI document."""
    resource = {"type": "string", "enum": list(tables.names()), "examples": ["users"]}
    mode = {"type": "string", "enum": ["insert", "upsert"], "description": "insert unless given"}
    token = {
        "type": "string",
        "format": "uuid",
        "description": "the same again is answered with the same job",
    }
    fields = {"resource_type": resource, "mode": mode, "idempotency_token": token, **_DECLARED_FIELDS}
    file_url = {"type": "string", "format": "uri", "examples": ["https://example.com/users.csv"]}
    members = {
        "resource": resource,
        "file_url": file_url,
        "format": {"type": "string", "enum": list(FORMATS)},
        "mode": mode,
        "idempotency_token": token,
        **_DECLARED_FIELDS,
    }
    remote = {"type": "object", "properties": members, "required": ["resource", "file_url"]}
    documented = file_body(fields, required=("resource_type", "file"))
    documented["requestBody"]["content"]["application/json"] = {"schema": remote}
    return documented


def _table(given: str | None, name: str) -> str:
    if not given:
        raise HTTPException(400, f"{name} is required")
    if given not in tables.names():
        raise HTTPException(400, f"{name} must be one of: {', '.join(tables.names())}")
    return given


def _key(token: str | None, header: str | None) -> str | None:
    """A UUID in the body goes before whatever the header says."""
    if token:
        try:
            return str(UUID(token))
        except ValueError:
            raise HTTPException(400, "idempotency_token must be a valid UUID") from None
    key = read_key(header)
    try:
        return key and str(UUID(key))  # the same one as a token in the body
    except ValueError:
        return key


def _format(texts: Mapping[str, str]) -> UploadFormat:
    try:
        return read_format(texts)
    except DeclarationError as error:
        raise HTTPException(400, str(error)) from error


def _mode(given: str | None, table: str) -> Mode:
    if not given:
        return tables.get(table).default_mode
    if given not in MODES:
        raise HTTPException(400, "mode must be one of: insert, upsert")
    return MODES[given]
