"""The pages of exports: choose columns and rows of a table, download them at once, or have a file prepared."""

import hashlib
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from bulk_pipeline import tables
from bulk_pipeline.api.authorization import viewer
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.export_requests import ONE_PART_ROWS
from bulk_pipeline.api.export_views import parts_of
from bulk_pipeline.api.exports import file_without_rows
from bulk_pipeline.api.stored_files import stored_file
from bulk_pipeline.api.streams import ExportStream, StreamsNeed
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.office.pages import PREFIX, page, see_other
from bulk_pipeline.office.visits import PersonNeed, UrlFormNeed, VisitNeed, check_form, once_token, text_of
from bulk_pipeline.schema import Table
from bulk_pipeline.schema.rules_in_words import kind
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.export.request import ExportRequest

router = APIRouter(prefix="/exports")

FOR_SPREADSHEETS = "spreadsheet"
"""The choice of CSV in the form that spreadsheet programs read."""
_SEVERAL = "This export has several files: ask the person who runs this service for them."
_ON_A_PAGE = 50
_MOST_CONDITIONS = 100


async def _table_to_export(table: str, person: PersonNeed) -> Table:
    """Return the table; 404 as for an unknown one if the person may not export it."""
    if table not in tables.names() or not person.rights.may_export(table):
        raise HTTPException(404)
    return tables.get(table)


TableNeed = Annotated[Table, Depends(_table_to_export)]


@router.get("")
def list_exports(
    request: Request,
    person: PersonNeed,
    stores: StoresNeed,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    found = stores.exports.newest(limit=_ON_A_PAGE + 1, before=read_cursor(cursor), viewer=viewer(person))
    return page(
        request,
        "exports.html",
        exports=found[:_ON_A_PAGE],
        tables=[] if cursor else _tables_to_export(person),
        downloads={job.id for job in found if job.manifest and person.rights.may_export(job.table)},
        is_open=any(not job.status.is_final for job in found[:_ON_A_PAGE]),
        next_cursor=next_cursor(found, _ON_A_PAGE),
    )


@router.get("/tables/{table}")
def export_page(request: Request, table: TableNeed) -> Response:
    return _page(request, table)


@router.post("/tables/{table}")
async def export_table(
    request: Request,
    table: TableNeed,
    visit: VisitNeed,
    person: PersonNeed,
    form: UrlFormNeed,
    stores: StoresNeed,
    streams: StreamsNeed,
    request_id: RequestIdNeed,
) -> Response:
    """Stream the rows, or with the field `prepare` start a job: once for each form and choice."""
    check_form(request, visit, form)
    where, format_ = text_of(form, "where"), text_of(form, "format")
    columns = [column for column in form.getlist("column") if isinstance(column, str)]
    try:
        export = _request(table, format_, where, columns)
    except SelectionError as error:
        return _page(request, table, format_, where, columns, str(error))
    if "prepare" not in form:
        return ExportStream(streams, export, f"account {person.id}")
    token = once_token(form)
    chosen = f"{token} {format_} {export.selection.as_json()}"
    await run_in_threadpool(
        stores.exports.ask,
        export,
        requested_by="api",
        idempotency_key=f"{person.id}/office {hashlib.sha256(chosen.encode()).hexdigest()}",
        expires_after=timedelta(hours=stores.settings.bulk_export_expiry_hours),
        request_id=request_id,
        owner_id=person.id,
    )
    return see_other(f"{PREFIX}/exports")


@router.get("/{export_id}/download")
def download(export_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    job = stores.exports.get(export_id)
    if not viewer(person).sees(job.owner_id) or not person.rights.may_export(job.table):
        raise HTTPException(404)
    parts = parts_of(job)
    if not parts:
        return file_without_rows(job)
    if len(parts) > 1:
        raise HTTPException(409, _SEVERAL)
    name = f"{job.table}{job.request.layout.extension}"
    return stored_file(
        stores.objects,
        stores.settings.s3_bucket_exports,
        job.folder + parts[0],
        name,
        job.format.facts.content_type,
    )


def _tables_to_export(person: Account) -> list[Table]:
    return [table for table in tables.in_load_order() if person.rights.may_export(table.upload_name)]


def _request(table: Table, format_: str, where: str, columns: list[str]) -> ExportRequest:
    conditions = [line.strip() for line in where.splitlines() if line.strip()]
    if len(conditions) > _MOST_CONDITIONS:
        raise SelectionError(f"{len(conditions):,} conditions are too many: write at most {_MOST_CONDITIONS}")
    is_csv = format_ in ("", FOR_SPREADSHEETS)
    if not is_csv and format_ not in [*Format]:
        raise SelectionError(f"{format_!r} is not a kind of file: choose one from the list")
    return ExportRequest.of(
        table.upload_name,
        columns=columns if len(columns) < len(table.columns) else (),
        filters=conditions,
        format=Format.CSV if is_csv else Format(format_),
        for_spreadsheets=is_csv,
        rows_per_part=ONE_PART_ROWS,
    )


def _page(
    request: Request,
    table: Table,
    format_: str = Format.XLSX,
    where: str = "",
    columns: list[str] | None = None,
    problem: str | None = None,
) -> Response:
    return page(
        request,
        "export.html",
        400 if problem else 200,
        table=table,
        columns=[(column.name, kind(table, column)) for column in table.columns],
        chosen=columns or [column.name for column in table.columns],
        format=format_,
        formats=[format_ for format_ in Format if format_ is not Format.XLSX],
        where=where,
        once=uuid4().hex,
        problem=problem,
    )
