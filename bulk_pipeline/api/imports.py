"""Imports of any table, of a file that is sent or at a URL: start, list, get and cancel them.

An account sees its own imports, or all of them if it has that right. A client without a token sees imports without an
owner: files put into the bucket or sent without a token.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bulk_pipeline import tables
from bulk_pipeline.api import import_views, openapi
from bulk_pipeline.api.authorization import check_import, viewer
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.import_intake import Sender, fetched, receive
from bulk_pipeline.api.import_requests import JsonNeed, documented_bodies, of_form, of_json
from bulk_pipeline.api.request_parts import FormNeed, content_of
from bulk_pipeline.api.stored_files import pieces
from bulk_pipeline.api.tokens import CallerNeed
from bulk_pipeline.errors import JobNotFinishedError
from bulk_pipeline.ledger.failure_reports import FailurePage
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.visibility import VisibleImport, visible
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stages.report_names import ERRORS_CSV, ERRORS_NDJSON

router = APIRouter(prefix="/imports", tags=["imports"])

_FIRST = 100
_REPORTS = {"csv": (ERRORS_CSV, "text/csv; charset=utf-8"), "ndjson": (ERRORS_NDJSON, "application/x-ndjson")}
_USUAL = openapi.versioned(openapi.BAD_REQUEST, openapi.UNAUTHORIZED, openapi.STORE_DOWN)
_ANSWERS = _USUAL | openapi.versioned(openapi.NOT_FOUND)
_FINISHED = openapi.versioned(openapi.CONFLICT)
_FILES: openapi.Answers = {
    200: {
        "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for _, kind in _REPORTS.values()}
    }
}
_Cursor = Annotated[str | None, Query(max_length=64, description="next_cursor of the previous page")]


@router.post(
    "",
    summary="Import a file",
    status_code=202,
    response_model=import_views.Import,
    responses=openapi.versioned(
        openapi.BAD_REQUEST,
        openapi.UNAUTHORIZED,
        openapi.FORBIDDEN,
        openapi.CONFLICT,
        openapi.TOO_LARGE,
        openapi.STORE_DOWN,
    ),
    openapi_extra=documented_bodies(),
)
def post_import(
    caller: CallerNeed,
    form: FormNeed,
    body: JsonNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
    mode: Annotated[str | None, Query(description="Used if the body has no field `mode`")] = None,
    idempotency_key: Annotated[
        str | None,
        Header(description="Used if the body has no `idempotency_token`; any text of up to 128 characters"),
    ] = None,
) -> Response:
    """The answer is sent once the file is stored. A file at a URL is fetched first, in up to `API_FETCH_SECONDS`."""
    sender = Sender(stores, caller, request_id)
    if body is None:
        options, file = of_form(form, mode, idempotency_key)
        check_import(caller, options.table)
        return _answer(sender, receive(sender, options, file.filename or "upload", *content_of(file)))
    options, remote = of_json(body, mode, idempotency_key)
    check_import(caller, options.table)
    with fetched(remote, stores.settings) as file:
        job_id = receive(sender, options, file.name, file.content, file.size_bytes, file.sha256)
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
    resource: Annotated[str | None, Query(description="Only imports into this table")] = None,
    status: import_views.ShownStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: _Cursor = None,
) -> Response:
    """The list has no failures: get a single import for those."""
    imports = stores.visible_imports.newest(
        viewer(caller),
        limit=limit + 1,
        table=tables.get(resource).name if resource else None,
        statuses=import_views.statuses_of(status),
        before=read_cursor(cursor),
    )
    page = list(map(import_views.listed, imports[:limit]))
    cursor = next_cursor([visible.job for visible in imports], limit)
    return _json(import_views.ImportsPage(imports=page, next_cursor=cursor))


@router.get("/{job_id}", summary="Get an import", response_model=import_views.Import, responses=_ANSWERS)
async def get_import(caller: CallerNeed, job_id: UUID, stores: StoresNeed, request: Request) -> Response:
    by_id = request.app.state.imports_by_id  # many clients poll: see `Coalescer`
    import_ = visible(await by_id.get(str(job_id)), str(job_id), viewer(caller))
    if _has_report(import_.job):
        return _json(await run_in_threadpool(_detailed, stores, import_))
    return _json(_detailed(stores, import_))


@router.get(
    "/{job_id}/errors",
    summary="Get the failures of an import",
    response_model=import_views.FailuresPage,
    responses=_ANSWERS | _FINISHED | _FILES,
)
def get_errors(
    caller: CallerNeed,
    job_id: UUID,
    stores: StoresNeed,
    limit: Annotated[int, Query(ge=1, le=1000)] = _FIRST,
    cursor: _Cursor = None,
    format: Annotated[
        Literal["csv", "ndjson"] | None, Query(description="Return all failures as a file")
    ] = None,
) -> Response:
    """Returns a page of failures or, with `format`, all of them as a file: 404 if no row was rejected."""
    job = stores.visible_imports.get(str(job_id), viewer(caller)).job
    if not job.status.is_final:
        raise JobNotFinishedError(f"job {job.id} is {job.status}: its errors appear when it has finished")
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
    """A pending import ends at once, a running one after its current batch. Committed rows stay."""
    stores.visible_imports.get(str(job_id), viewer(caller))
    stores.leases.cancel(str(job_id))
    return _json(_detailed(stores, stores.visible_imports.get(str(job_id), viewer(caller))), 202)


def _answer(sender: Sender, job_id: str) -> Response:
    return _json(
        _detailed(sender.stores, sender.stores.visible_imports.get(job_id, viewer(sender.account))), 202
    )


def _detailed(stores: Stores, import_: VisibleImport) -> import_views.Import:
    """Return the import with its first failures, which are read from its report if it has one."""
    job = import_.job
    first = stores.failures.page(job, limit=_FIRST) if _has_report(job) else FailurePage([], None)
    return import_views.detailed(import_, first)


def _has_report(job: ImportJob) -> bool:
    return job.status.is_final and bool(job.reports)


def _file(stores: Stores, job: ImportJob, name: str, media_type: str) -> Response:
    file = stores.objects.open(stores.settings.s3_bucket_reports, stores.failures.key(job, name))
    headers = {
        "Content-Disposition": f'attachment; filename="errors_{job.id}{PurePosixPath(name).suffix}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces(file), media_type=media_type, headers=headers)


def _json(document: BaseModel, status: int = 200) -> Response:
    """Return the document without FastAPI's second validation: clients poll these."""
    return Response(document.model_dump_json(exclude_unset=True), status, media_type="application/json")
