"""Parts of a request that are read by hand: a multipart form with a file, a JSON object, the Idempotency-Key header.

FastAPI would read the whole body, and parse JSON on the event loop, before it checks the token. A file is written to
the disk, never held in memory, and refused at the size limit.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from hashlib import file_digest
from typing import Annotated, Any, BinaryIO, cast

import orjson
from anyio import CancelScope
from fastapi import Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from bulk_pipeline import tables
from bulk_pipeline.api.dependencies import SettingsNeed
from bulk_pipeline.api.middleware import lift_body_limit
from bulk_pipeline.schema import NOTHING_DECLARED, UploadFormat, code_page
from bulk_pipeline.stages import file_formats

MOST_KEY_CHARACTERS = 128

_FORM_BYTES = 64_000
"""The limit of fields and boundaries around a file."""
_MOST_FIELDS = 20


async def _form(request: Request, settings: SettingsNeed) -> AsyncIterator[FormData]:
    most = settings.api_max_upload_bytes + _FORM_BYTES
    if int(request.headers.get("content-length") or 0) > most:
        raise _too_large(settings.api_max_upload_bytes)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        yield FormData()
        return
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    code_page(
        charset.decode("latin-1")
    )  # refuses a charset that is no code page; the fields are decoded with it
    lift_body_limit(request)
    try:
        parser = MultiPartParser(
            request.headers,
            _at_most(request, most, settings.api_max_upload_bytes),
            max_files=1,
            max_fields=_MOST_FIELDS,
            max_part_size=_FORM_BYTES,
        )
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the multipart body cannot be read: {error.message}") from error
    try:
        yield form
    finally:
        with CancelScope(shield=True):  # also when the client has disconnected
            await form.close()


FormNeed = Annotated[FormData, Depends(_form)]
"""The fields of a multipart request, empty for any other. Declare it after the token, as it reads the whole body."""


def file_body(fields: dict[str, Any], *, required: tuple[str, ...] = ("file",)) -> dict[str, Any]:
    """Return the body's OpenAPI description, which FastAPI cannot derive. `fields`: name → schema, beside the file."""
    properties = {"file": {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def file_of(form: FormData, name: str = "file") -> UploadFile | None:
    """Return the file in that field; None if there is none, or a text."""
    field = form.get(name)
    return field if isinstance(field, UploadFile) else None


def text_of(form: FormData, name: str) -> str | None:
    """Return the text in that field; None if there is none, or a file."""
    field = form.get(name)
    return field if isinstance(field, str) else None


def content_of(file: UploadFile) -> tuple[BinaryIO, int, str]:
    """Return the file at its beginning, its size in bytes and its SHA-256. Reads it once from the disk."""
    content = cast(BinaryIO, file.file)
    content.seek(0)
    digest = file_digest(content, "sha256")  # pyright: ignore[reportArgumentType]  # a spooled file has readinto
    size_bytes = content.tell()
    content.seek(0)
    return content, size_bytes, digest.hexdigest()


def refuse_unreadable(
    content: BinaryIO, size_bytes: int, name: str, table: str, declared: UploadFormat = NOTHING_DECLARED
) -> None:
    """Refuse a file that holds no table. `HTTPException` 400 if it is empty; `FileError` as its job would fail with.

    Looks at the name and the first bytes only.
    """
    if not size_bytes and not file_formats.may_be_empty(name):
        raise HTTPException(400, "the file is empty")
    head = content.read(file_formats.HEAD_BYTES)
    content.seek(0)
    file_formats.refuse_no_table(name, head, tables.get(table).format_of(declared).encoding)


def is_json(request: Request) -> bool:
    """Return whether the content type is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def json_object(request: Request, most_bytes: int) -> dict[str, Any]:
    """Return the body's JSON object. `HTTPException` 400 for any other body, 413 for a larger one."""
    lift_body_limit(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413, f"the JSON body is larger than {most_bytes:,} bytes")
    try:
        document = await run_in_threadpool(orjson.loads, body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(document, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return document


def required_key(header: str | None) -> str:
    """Return the idempotency key without blanks around it. `HTTPException` 400 if it is missing or too long."""
    if header is None or not header.strip():
        raise HTTPException(400, "Idempotency-Key header required")
    key = read_key(header)
    assert key is not None
    return key


def read_key(header: str | None) -> str | None:
    """Return the idempotency key without blanks around it, None without a header. `HTTPException` 400 if invalid."""
    if header is None:
        return None
    key = header.strip()  # a header is Latin-1, so it has no NUL
    if not 0 < len(key) <= MOST_KEY_CHARACTERS:
        raise HTTPException(
            400,
            f"Idempotency-Key has {len(key)} characters: send 1 to {MOST_KEY_CHARACTERS}, or no such header",
        )
    return key


async def _at_most(request: Request, most: int, most_of_file: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise _too_large(most_of_file)
        yield chunk


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {most:,} bytes: split it, or put it into the bucket")
