"""Exports for clients of /api/v1: as a job that writes a file, or streamed at once."""

from datetime import datetime, timedelta
from io import BytesIO
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from bulk_pipeline import tables
from bulk_pipeline.api import documented
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.export_requests import of_body, of_query
from bulk_pipeline.api.json_bodies import is_json, json_object
from bulk_pipeline.api.needs import RequestIdNeed, StoresNeed
from bulk_pipeline.api.streams import ExportStream, StreamsNeed, attachment
from bulk_pipeline.api.tokens import CallerNeed
from bulk_pipeline.errors import IdempotencyConflictError, JobNotFinishedError, NotFoundError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stages.export.formats import CONTENT_TYPES, HTTP_FORMATS, Format
from bulk_pipeline.stores.accounts import Account
from bulk_pipeline.stores.export_jobs import ExportJob, ExportStatus

router = APIRouter(prefix="/exports", tags=["exports"])

_USUAL = documented.in_second_family(documented.BAD_REQUEST, documented.UNAUTHORIZED, documented.STORE_DOWN)
_OF_ONE = _USUAL | documented.in_second_family(documented.NOT_FOUND)
_CONFLICT = documented.in_second_family(documented.CONFLICT)
_TOO_MANY = documented.in_second_family(documented.TOO_MANY)
_FILE: dict[str, Any] = {
    CONTENT_TYPES[format_].partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
    for format_ in HTTP_FORMATS
}
_STREAM: documented.Answers = {200: {"description": "The rows, in key order", "content": _FILE}}

_BODY_BYTES = 1_000_000
_FORMATS = {"type": "string", "enum": list(HTTP_FORMATS), "description": "How the rows are written"}
_RESOURCES = {"type": "string", "enum": list(tables.names()), "description": "The table"}
_BODY = {
    "type": "object",
    "required": ["resource_type", "format"],
    "properties": {
        "resource_type": _RESOURCES,
        "format": _FORMATS,
        "idempotency_token": {"type": "string", "format": "uuid"},
        "filters": {
            "description": "Conditions that rows must meet: values by column, or texts as `where` has them",
            "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}],
        },
        "fields": {"type": "array", "items": {"type": "string"}, "description": "Columns; all without it"},
    },
    "example": {
        "resource_type": "users",
        "format": "csv",
        "filters": {"role": "admin"},
        "fields": ["id", "email"],
    },
}


def _parameter(name: str, description: str, **more: object) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}} | more


_SELECTION = [
    _parameter("format", "How the rows are written", schema=_FORMATS),
    _parameter("fields", "Columns, with commas between; all without it", example="id,email"),
    _parameter(
        "where",
        "A condition, as on the command line: `created_at>=2026-01-01`, `phone is null`, `role in (admin, editor)`",
        schema={"type": "array", "items": {"type": "string"}},
    ),
    _parameter(
        "<column>",
        "Any column by its name: only rows with this value; twice: with either",
        schema={"type": "object", "additionalProperties": {"type": "string"}},
        style="form",
        explode=True,
    ),
]


async def _body(request: Request) -> dict[str, Any]:
    if not is_json(request):
        raise HTTPException(400, "the body must be JSON, sent as application/json")
    return await json_object(request, _BODY_BYTES)


BodyNeed = Annotated[dict[str, Any], Depends(_body)]
"""The JSON object of the body. Ask for it after the token."""


class Export(BaseModel):
    """An export. `expires_at`: until then its file is kept for certain."""

    id: str
    job_id: str
    resource_type: str
    format: Format
    status: Literal["pending", "processing", "completed", "failed", "cancelled"]
    total_records: int
    file_path: str | None
    download_url: str | None
    expires_at: datetime | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class ExportPage(BaseModel):
    """Newest first. `next_cursor`: what to ask for next; null at the end."""

    exports: list[Export]
    next_cursor: str | None


@router.post(
    "",
    summary="Export a table to a file",
    status_code=202,
    responses=_USUAL | _CONFLICT | documented.in_second_family(documented.TOO_LARGE),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}},
)
def post_export(
    caller: CallerNeed,
    body: BodyNeed,
    request: Request,
    stores: StoresNeed,
    request_id: RequestIdNeed,
) -> Export:
    """The same `idempotency_token` again is answered with the same job; with other words it is refused."""
    asked, token = of_body(body)
    job = stores.exports.ask(
        asked,
        requested_by="api",
        idempotency_key=f"{caller.id if caller else 'anyone'}/{token}" if token else None,
        expires_after=timedelta(hours=stores.settings.bulk_export_expiry_hours),
        request_id=request_id,
    )
    if job.request != asked:
        raise IdempotencyConflictError(
            f"the idempotency token {token} was used for another export: job {job.id}"
        )
    request.state.job_id = job.id
    return _shown(request, stores, job)


@router.get(
    "",
    summary="List exports, or stream a table",
    response_model=ExportPage,
    responses={200: {"description": "Exports, newest first; with `resource`: its rows", "content": _FILE}}
    | _USUAL
    | _TOO_MANY,
    openapi_extra={
        "parameters": [
            _parameter("resource", "Stream this table; without it: list exports", schema=_RESOURCES),
            *_SELECTION,
        ]
    },
)
def list_exports(
    caller: CallerNeed,
    request: Request,
    stores: StoresNeed,
    streams: StreamsNeed,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Exports on a page")] = 50,
) -> ExportPage | Response:
    items = request.query_params.multi_items()
    if any(name not in ("cursor", "limit") for name, _ in items):
        return ExportStream(streams, of_query(items), _name(caller, request))
    found = stores.exports.newest(limit=limit + 1, before=read_cursor(cursor))
    page = [_shown(request, stores, job) for job in found[:limit]]
    return ExportPage(exports=page, next_cursor=next_cursor(found, limit))


@router.get(
    "/{resource}/stream",
    summary="Stream a table",
    response_class=Response,
    responses=_STREAM | _USUAL | _TOO_MANY,
    openapi_extra={"parameters": _SELECTION},
)
def stream_table(caller: CallerNeed, resource: str, request: Request, streams: StreamsNeed) -> Response:
    """From one snapshot, in key order. If it breaks off, so does the connection: the file is not complete then."""
    asked = of_query(request.query_params.multi_items(), resource)
    return ExportStream(streams, asked, _name(caller, request))


@router.get("/{export_id}", summary="Look at an export", responses=_OF_ONE)
def get_export(caller: CallerNeed, export_id: UUID, request: Request, stores: StoresNeed) -> Export:
    return _shown(request, stores, stores.exports.get(str(export_id)))


@router.get(
    "/{export_id}/download",
    summary="Download an export",
    response_class=Response,
    responses={
        200: {"description": "The file, if it has no rows", "content": _FILE},
        307: {"description": "Where the file is, for a while and without a token"},
    }
    | _OF_ONE
    | _CONFLICT
    | documented.in_second_family(documented.GONE),
)
def download_export(caller: CallerNeed, export_id: UUID, stores: StoresNeed) -> Response:
    job = stores.exports.get(str(export_id))
    parts = _parts(job)
    if not parts:
        from bulk_pipeline.stages.export.parts import write_file  # see `streams`

        file = BytesIO()
        write_file([], job.request.layout, file)
        return Response(file.getvalue(), headers=attachment(job.request))
    if len(parts) > 1:
        raise HTTPException(
            409, f"export {job.id} has {len(parts)} parts: read them from the bucket, or ask over HTTP"
        )
    settings = stores.settings
    url = stores.public_objects.presigned_url(
        settings.s3_bucket_exports,
        job.folder + parts[0],
        seconds=settings.api_presigned_seconds,
        file_name=f"{job.table}{job.request.layout.extension}",
    )
    return RedirectResponse(url, 307)


@router.post(
    "/{export_id}/cancel", summary="Cancel an export", status_code=202, responses=_OF_ONE | _CONFLICT
)
def cancel_export(caller: CallerNeed, export_id: UUID, request: Request, stores: StoresNeed) -> Export:
    """It ends at once, or as soon as the run that has it looks; nothing is left of it."""
    return _shown(request, stores, stores.exports.cancel(str(export_id)))


def _name(caller: Account | None, request: Request) -> str:
    """Who asks: an account, or without one an address."""
    if caller is not None:
        return f"account {caller.id}"
    return f"address {request.client.host if request.client else 'unknown'}"


def _parts(job: ExportJob) -> list[str]:
    """The names of its files."""
    if not job.status.is_final:
        raise JobNotFinishedError(f"export {job.id} is {job.status}: its file comes when it has finished")
    if job.manifest is None:
        raise NotFoundError(f"export {job.id} is {job.status}: it has no file")
    if job.status is ExportStatus.EXPIRED:
        raise HTTPException(410, f"export {job.id} has expired, and its file is gone: ask for another one")
    return [part["name"] for part in job.manifest["parts"]]


def _shown(request: Request, stores: Stores, job: ExportJob) -> Export:
    settings = stores.settings
    is_there = job.status is ExportStatus.COMPLETED
    parts = _parts(job) if is_there else []
    file_path = f"s3://{settings.s3_bucket_exports}/{job.folder}{parts[0]}" if len(parts) == 1 else None
    path = request.app.url_path_for("download_export", export_id=job.id)
    kept = timedelta(days=settings.bulk_export_retention_days)
    return Export(
        id=job.id,
        job_id=job.id,
        resource_type=job.table,
        format=job.format,
        status=_status(job),
        total_records=job.rows_written,
        file_path=file_path,
        download_url=(settings.api_url or str(request.base_url)).rstrip("/") + path if is_there else None,
        expires_at=job.finished_at + kept if is_there and job.finished_at else None,
        error_message=job.error,
        created_at=job.created_at,
        updated_at=job.updated_at,
        completed_at=job.finished_at,
    )


def _status(job: ExportJob) -> Literal["pending", "processing", "completed", "failed", "cancelled"]:
    """An export whose file is gone was completed all the same; one that never began has failed."""
    match job.status:
        case ExportStatus.EXPIRED:
            return "completed" if job.manifest is not None else "failed"
        case ExportStatus.PENDING:
            return "pending"
        case ExportStatus.PROCESSING:
            return "processing"
        case ExportStatus.COMPLETED:
            return "completed"
        case ExportStatus.FAILED:
            return "failed"
        case ExportStatus.CANCELLED:
            return "cancelled"
