"""Exports for clients of /api/v1: by a job that writes a file, or streamed directly."""

from datetime import timedelta
from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from bulk_pipeline.api import openapi
from bulk_pipeline.api.authorization import check_export, viewer
from bulk_pipeline.api.clients import ClientNeed
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.export_requests import of_body, of_query
from bulk_pipeline.api.export_views import Export, ExportPage, parts_of, shown
from bulk_pipeline.api.request_parts import is_json, json_object
from bulk_pipeline.api.streams import ExportStream, StreamsNeed, attachment
from bulk_pipeline.api.tokens import CallerNeed
from bulk_pipeline.errors import IdempotencyConflictError, NotFoundError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stages.export.formats import HTTP_FORMATS

router = APIRouter(prefix="/exports", tags=["exports"])

_USUAL = openapi.versioned(openapi.BAD_REQUEST, openapi.UNAUTHORIZED, openapi.STORE_DOWN)
_FORBIDDEN = openapi.versioned(openapi.FORBIDDEN)
_OF_ONE = _USUAL | openapi.versioned(openapi.NOT_FOUND)
_CONFLICT = openapi.versioned(openapi.CONFLICT)
_TOO_MANY = openapi.versioned(openapi.TOO_MANY)
_FILE: dict[str, Any] = {
    format_.facts.content_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
    for format_ in HTTP_FORMATS
}
_STREAM: openapi.Answers = {200: {"description": "The rows, in key order", "content": _FILE}}

_BODY_BYTES = 1_000_000
_FORMATS = {"type": "string", "enum": list(HTTP_FORMATS), "description": "Format of the file"}
_RESOURCES = openapi.TABLE_NAME | {"description": "The table"}
_BODY = {
    "type": "object",
    "required": ["resource_type", "format"],
    "properties": {
        "resource_type": _RESOURCES,
        "format": _FORMATS,
        "idempotency_token": {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]},
        "filters": {
            "description": "Conditions that rows must meet: values by column, or texts as in `where`",
            "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}],
        },
        "fields": {
            "description": "Columns, as a list or separated by commas. Default: all",
            "anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "string"},
                {"type": "null"},
            ],
        },
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
    _parameter("format", "Format of the file", schema=_FORMATS),
    _parameter("fields", "Columns, separated by commas. Default: all", example="id,email"),
    _parameter(
        "where",
        "A condition, as on the command line: `created_at>=2026-01-01`, `phone is null`, `role in (admin, editor)`",
        schema={"type": "array", "items": {"type": "string"}},
    ),
    _parameter(
        "<column>",
        "Any column by its name: only rows with this value. Repeated: rows with any of the values",
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
"""The JSON object of the body. Declare it after the token, as it reads the whole body."""


@router.post(
    "",
    summary="Export a table to a file",
    status_code=202,
    responses=_USUAL | _FORBIDDEN | _CONFLICT | openapi.versioned(openapi.TOO_LARGE),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}},
)
def post_export(
    caller: CallerNeed,
    body: BodyNeed,
    request: Request,
    stores: StoresNeed,
    request_id: RequestIdNeed,
) -> Export:
    """A repeated `idempotency_token` returns the same job; with a different request it is refused."""
    export, token = of_body(body)
    check_export(caller, export.table)
    job = stores.exports.ask(
        export,
        requested_by="api",
        idempotency_key=f"{caller.id if caller else 'anyone'}/{token}" if token else None,
        expires_after=timedelta(hours=stores.settings.bulk_export_expiry_hours),
        request_id=request_id,
        owner_id=caller.id if caller else None,
    )
    if job.request != export:
        raise IdempotencyConflictError(
            f"the idempotency token {token} was used for another export: job {job.id}"
        )
    request.state.job_id = job.id
    return shown(request, stores.settings, job)


@router.get(
    "",
    summary="List exports, or stream a table",
    response_model=ExportPage,
    responses={200: {"description": "Exports, newest first; with `resource`: its rows", "content": _FILE}}
    | _USUAL
    | _FORBIDDEN
    | _TOO_MANY,
    openapi_extra={
        "parameters": [
            _parameter("resource", "Stream this table. Without it: list exports", schema=_RESOURCES),
            *_SELECTION,
        ]
    },
)
def list_exports(
    caller: CallerNeed,
    request: Request,
    client: ClientNeed,
    stores: StoresNeed,
    streams: StreamsNeed,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Exports on a page")] = 50,
) -> ExportPage | Response:
    items = request.query_params.multi_items()
    if any(name not in ("cursor", "limit") for name, _ in items):
        export = of_query(items)
        check_export(caller, export.table)
        return ExportStream(streams, export, _name(caller, client))
    jobs = stores.exports.newest(limit=limit + 1, before=read_cursor(cursor), viewer=viewer(caller))
    page = [shown(request, stores.settings, job) for job in jobs[:limit]]
    return ExportPage(exports=page, next_cursor=next_cursor(jobs, limit))


@router.get(
    "/{resource}/stream",
    summary="Stream a table",
    response_class=Response,
    responses=_STREAM | _USUAL | _FORBIDDEN | _TOO_MANY,
    openapi_extra={"parameters": _SELECTION},
)
def stream_table(
    caller: CallerNeed,
    resource: Annotated[str, Path(json_schema_extra=openapi.TABLE_NAME)],
    request: Request,
    client: ClientNeed,
    streams: StreamsNeed,
) -> Response:
    """Rows of one snapshot, in key order. If the stream fails, the connection breaks: the file is incomplete then."""
    export = of_query(request.query_params.multi_items(), resource)
    check_export(caller, export.table)
    return ExportStream(streams, export, _name(caller, client))


@router.get("/{export_id}", summary="Get an export", responses=_OF_ONE)
def get_export(caller: CallerNeed, export_id: UUID, request: Request, stores: StoresNeed) -> Export:
    return shown(request, stores.settings, _visible(stores, caller, export_id))


@router.get(
    "/{export_id}/download",
    summary="Download an export",
    response_class=Response,
    responses={
        200: {"description": "The file, if it has no rows", "content": _FILE},
        307: {"description": "URL of the file, valid for a limited time, without a token"},
    }
    | _OF_ONE
    | _FORBIDDEN
    | _CONFLICT
    | openapi.versioned(openapi.GONE),
)
def download_export(caller: CallerNeed, export_id: UUID, stores: StoresNeed) -> Response:
    job = _visible(stores, caller, export_id)
    check_export(caller, job.table)
    parts = parts_of(job)
    if not parts:
        return file_without_rows(job)
    if len(parts) > 1:
        raise HTTPException(
            409,
            f"export {job.id} has {len(parts)} parts: read them from the bucket, or request a new export here",
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
    """A pending export ends at once, a running one within a heartbeat. Its files are removed."""
    return shown(
        request, stores.settings, stores.export_leases.cancel(_visible(stores, caller, export_id).id)
    )


def file_without_rows(job: ExportJob) -> Response:
    """Return the file of an export that found no rows, for which the bucket has none."""
    from bulk_pipeline.stages.export.parts import write_file  # see `streams`

    file = BytesIO()
    write_file([], job.request.layout, file)
    return Response(file.getvalue(), headers=attachment(job.request))


def _visible(stores: Stores, caller: Account | None, export_id: UUID) -> ExportJob:
    """Return the export. Raises `NotFoundError` also if the caller may not see it."""
    job = stores.exports.get(str(export_id))
    if not viewer(caller).sees(job.owner_id):
        raise NotFoundError(f"no export {export_id}")
    return job


def _name(caller: Account | None, client: str) -> str:
    """Return the account, or without one the address, that the stream counts for."""
    return f"account {caller.id}" if caller else f"address {client}"
