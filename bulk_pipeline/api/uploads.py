"""The file in a multipart request. It goes by the disk, never through memory, and stops at the size that is allowed.

Read by hand, not by FastAPI, which would take in the whole body before it asks for a token.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from hashlib import file_digest
from typing import Annotated, Any, BinaryIO, cast

from anyio import CancelScope
from fastapi import Depends, HTTPException, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from bulk_pipeline import tables
from bulk_pipeline.api.body_limit import lift
from bulk_pipeline.api.needs import SettingsNeed
from bulk_pipeline.schema import NOTHING_DECLARED, UploadFormat, code_page
from bulk_pipeline.stages import file_formats

_FORM_BYTES = 64_000
"""What the fields and boundaries around a file may take."""
_MOST_FIELDS = 20


async def _form(request: Request, settings: SettingsNeed) -> AsyncIterator[FormData]:
    most = settings.api_max_upload_bytes + _FORM_BYTES
    if int(request.headers.get("content-length") or 0) > most:
        raise _too_large(settings.api_max_upload_bytes)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        yield FormData()
        return
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    code_page(charset.decode("latin-1"))  # the fields are decoded with it, on the event loop
    lift(request)
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
        with CancelScope(shield=True):  # also when the client has left
            await form.close()


FormNeed = Annotated[FormData, Depends(_form)]
"""The fields of a multipart request; empty for any other. Ask for it after the token: it takes in the whole body."""


def file_body(fields: dict[str, Any], *, required: tuple[str, ...] = ("file",)) -> dict[str, Any]:
    """The body for the OpenAPI document, which FastAPI does not know of. `fields` beside the file: name → schema."""
    properties = {"file": {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def file_of(form: FormData, name: str = "file") -> UploadFile | None:
    """The file in that field; None if there is none, or a text in its place."""
    found = form.get(name)
    return found if isinstance(found, UploadFile) else None


def text_of(form: FormData, name: str) -> str | None:
    """The text in that field; None if there is none, or a file in its place."""
    found = form.get(name)
    return found if isinstance(found, str) else None


def content_of(file: UploadFile) -> tuple[BinaryIO, int, str]:
    """Its bytes from the beginning, how many they are, and their SHA-256. Reads all of them from the disk, once."""
    content = cast(BinaryIO, file.file)
    content.seek(0)
    digest = file_digest(content, "sha256")  # pyright: ignore[reportArgumentType]  # a spooled file has readinto
    size_bytes = content.tell()
    content.seek(0)
    return content, size_bytes, digest.hexdigest()


def refuse_what_is_no_table(
    content: BinaryIO, size_bytes: int, name: str, table: str, declared: UploadFormat = NOTHING_DECLARED
) -> None:
    """400 for an empty file; `FileError` for one that its name or its first bytes give away, as its job would say."""
    if not size_bytes:
        raise HTTPException(400, "the file is empty")
    head = content.read(file_formats.HEAD_BYTES)
    content.seek(0)
    file_formats.refuse_no_table(name, head, declared.over(tables.get(table).upload_format).encoding)


async def _at_most(request: Request, most: int, told: int) -> AsyncGenerator[bytes, None]:
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > most:
            raise _too_large(told)
        yield chunk


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the file is larger than {most:,} bytes: split it, or drop it into the bucket")
