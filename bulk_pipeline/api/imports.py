"""Imports of any table: a file that is sent, or one that lies at a URL; look at them, list them, cancel them.

A client sees its own imports, and those that are nobody's: what came by the bucket or without a token.
"""

from collections.abc import Iterator
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bulk_pipeline import tables
from bulk_pipeline.api import documented, import_views
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.import_intake import Sender, fetched, receive
from bulk_pipeline.api.import_requests import (
    JsonNeed,
    asked_in_form,
    asked_in_json,
    documented_bodies,
)
from bulk_pipeline.api.needs import RequestIdNeed, StoresNeed
from bulk_pipeline.api.tokens import CallerNeed
from bulk_pipeline.api.uploads import FormNeed, content_of
from bulk_pipeline.errors import JobNotFinishedError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stores.accounts import Account
from bulk_pipeline.stores.failure_reports import CSV, NDJSON, FailurePage
from bulk_pipeline.stores.jobs import ImportJob
from bulk_pipeline.stores.visible_imports import VisibleImport, visible

router = APIRouter(prefix="/imports", tags=["imports"])

_FIRST = 100
_REPORTS = {"csv": (CSV, "text/csv; charset=utf-8"), "ndjson": (NDJSON, "application/x-ndjson")}
_COPY_BYTES = 256 << 10
_USUAL = documented.in_second_family(documented.BAD_REQUEST, documented.UNAUTHORIZED, documented.STORE_DOWN)
_ANSWERS = _USUAL | documented.in_second_family(documented.NOT_FOUND)
_FINISHED = documented.in_second_family(documented.CONFLICT)
_FILES: documented.Answers = {
    200: {
        "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for _, kind in _REPORTS.values()}
    }
}
_Cursor = Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")]


@router.post(
    "",
    summary="Import a file",
    status_code=202,
    response_model=import_views.Import,
    responses=documented.in_second_family(
        documented.BAD_REQUEST,
        documented.UNAUTHORIZED,
        documented.CONFLICT,
        documented.TOO_LARGE,
        documented.STORE_DOWN,
    ),
    openapi_extra=documented_bodies(),
)
def post_import(
    caller: CallerNeed,
    form: FormNeed,
    body: JsonNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
    mode: Annotated[str | None, Query(description="In place of the field of that name")] = None,
    idempotency_key: Annotated[
        str | None, Header(description="In place of idempotency_token; any text of up to 128 characters")
    ] = None,
) -> Response:
    """The answer comes when the file is safe here; one at a URL is fetched first, in up to `API_FETCH_SECONDS`."""
    sender = Sender(stores, caller.id if caller else None, request_id)
    if body is None:
        asked, file = asked_in_form(form, mode, idempotency_key)
        return _answer(sender, receive(sender, asked, file.filename or "upload", *content_of(file)))
    asked, remote = asked_in_json(body, mode, idempotency_key)
    with fetched(remote, stores.settings) as found:
        job_id = receive(sender, asked, found.name, found.content, found.size_bytes, found.sha256)
    return _answer(sender, job_id)


@router.get(
    "",
    summary="List imports, newest first",
    response_model=import_views.ImportsPage,
    responses=_USUAL,
)
def list_imports(
    caller: CallerNeed,
    stores: StoresNeed,
    resource: Annotated[str | None, Query(description="Of this table only")] = None,
    status: import_views.ShownStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: _Cursor = None,
) -> Response:
    """Without the failures of each: those are with the import itself."""
    found = stores.visible_imports.newest(
        _id(caller),
        limit=limit + 1,
        table=tables.get(resource).name if resource else None,
        statuses=import_views.statuses_of(status),
        before=read_cursor(cursor),
    )
    page = list(map(import_views.listed, found[:limit]))
    return _json(
        import_views.ImportsPage(imports=page, next_cursor=next_cursor([one.job for one in found], limit))
    )


@router.get("/{job_id}", summary="Look at an import", response_model=import_views.Import, responses=_ANSWERS)
async def get_import(caller: CallerNeed, job_id: UUID, stores: StoresNeed, request: Request) -> Response:
    # Clients poll this: what they ask while Postgres is being asked is asked together.
    found = await request.app.state.gathered_imports.answer(str(job_id))
    seen = visible(found, str(job_id), _id(caller))
    if _has_report(seen.job):
        return _json(await run_in_threadpool(_detailed, stores, seen))
    return _json(_detailed(stores, seen))


@router.get(
    "/{job_id}/errors",
    summary="Read the failures of an import",
    response_model=import_views.FailuresPage,
    responses=_ANSWERS | _FINISHED | _FILES,
)
def get_errors(
    caller: CallerNeed,
    job_id: UUID,
    stores: StoresNeed,
    limit: Annotated[int, Query(ge=1, le=1000)] = _FIRST,
    cursor: _Cursor = None,
    format: Annotated[Literal["csv", "ndjson"] | None, Query(description="All of them, as a file")] = None,
) -> Response:
    """A page of them, or with `format` the whole file: 404 if no row was rejected."""
    job = stores.visible_imports.get(str(job_id), _id(caller)).job
    if not job.status.is_final:
        raise JobNotFinishedError(f"job {job.id} is {job.status}: its errors come when it has finished")
    if format is not None:
        return _file(stores, job, *_REPORTS[format])
    return _json(import_views.paged(job, stores.failures.page(job, limit=limit, cursor=cursor)))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel an import",
    status_code=202,
    response_model=import_views.Import,
    responses=_ANSWERS | _FINISHED,
)
def cancel_import(caller: CallerNeed, job_id: UUID, stores: StoresNeed) -> Response:
    """One that is being worked on ends as soon as it looks; what is committed by then stays."""
    stores.visible_imports.get(str(job_id), _id(caller))
    stores.ledger.cancel(str(job_id))
    return _json(_detailed(stores, stores.visible_imports.get(str(job_id), _id(caller))), 202)


def _answer(sender: Sender, job_id: str) -> Response:
    return _json(_detailed(sender.stores, sender.stores.visible_imports.get(job_id, sender.account_id)), 202)


def _detailed(stores: Stores, seen: VisibleImport) -> import_views.Import:
    """Failures are read from the object store only when there is a report of them, which comes at the end."""
    is_told = _has_report(seen.job)
    first = stores.failures.page(seen.job, limit=_FIRST) if is_told else FailurePage([], None)
    return import_views.detailed(seen, first)


def _has_report(job: ImportJob) -> bool:
    return job.status.is_final and bool(job.reports)


def _file(stores: Stores, job: ImportJob, name: str, media_type: str) -> Response:
    file = stores.objects.open(stores.settings.s3_bucket_reports, stores.failures.key(job, name))
    headers = {
        "Content-Disposition": f'attachment; filename="errors_{job.id}{PurePosixPath(name).suffix}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_pieces(file), media_type=media_type, headers=headers)


def _pieces(file: BufferedReader) -> Iterator[bytes]:
    with file:
        while piece := file.read1(_COPY_BYTES):
            yield piece


def _id(caller: Account | None) -> str | None:
    return caller.id if caller else None


def _json(told: BaseModel, status: int = 200) -> Response:
    """Made once, not checked against the model a second time: clients poll these."""
    return Response(told.model_dump_json(exclude_unset=True), status, media_type="application/json")
