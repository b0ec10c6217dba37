"""The pages of uploads: the list, and what became of one, with its files."""

from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import PurePath
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from bulk_pipeline import tables
from bulk_pipeline.api.authorization import viewer
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.import_intake import Sender, receive
from bulk_pipeline.api.import_requests import ImportOptions
from bulk_pipeline.api.stored_files import stored_file
from bulk_pipeline.errors import JobFinishedError, NotFoundError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.visibility import VisibleImport
from bulk_pipeline.office.corrections import (
    CorrectionError,
    Corrections,
    corrected_file,
    form_of,
    format_of_file,
    key_of,
    key_start,
    name_of_file,
    open_report,
)
from bulk_pipeline.office.pages import PREFIX, page, see_other
from bulk_pipeline.office.rejected_rows import NONE, first_rejected
from bulk_pipeline.office.report_cells import ReportRow, ReportSyntax
from bulk_pipeline.office.visits import (
    LargeFormNeed,
    PersonNeed,
    UrlFormNeed,
    VisitNeed,
    check_form,
    once_token,
)
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stages.report_names import ERRORS_CSV, WORKBOOK, rejected_name

router = APIRouter(prefix="/uploads")

_ON_A_PAGE = 50
_LONGEST_SEARCH = 200
_MOST_PARENTS, _MOST_NAMED = 5, 10
_UNDER_WAY = (
    "Corrected rows of this upload are being loaded at the moment, and nothing of this form was sent: wait until they "
    "are loaded, and send the form again."
)
_DONE = (
    "In the meantime, somebody has corrected the rows {rows} of the file, and nothing of this form was sent: the form "
    "has the rows that are still to be corrected."
)


@router.get("")
def list_uploads(
    request: Request,
    person: PersonNeed,
    stores: StoresNeed,
    search: Annotated[str, Query()] = "",
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    file = search.replace("\0", "").strip()[:_LONGEST_SEARCH]
    found = stores.visible_imports.newest(
        viewer(person), limit=_ON_A_PAGE + 1, file=file or None, before=read_cursor(cursor)
    )
    return page(
        request,
        "uploads.html",
        uploads=found[:_ON_A_PAGE],
        search=file,
        next_cursor=next_cursor([upload.job for upload in found], _ON_A_PAGE),
        is_first=not cursor,
    )


@router.get("/{job_id}")
def upload_page(request: Request, job_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    return _page(request, stores.visible_imports.get(job_id, viewer(person)), person, stores)


@router.post("/{job_id}/corrections")
async def send_corrections(
    request: Request,
    job_id: str,
    person: PersonNeed,
    visit: VisitNeed,
    form: LargeFormNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
) -> Response:
    """Send the rows as an upload, once for each form and content. Rows that others have corrected are not sent."""
    check_form(request, visit, form)

    def send() -> Response:
        upload = stores.visible_imports.get(job_id, viewer(person))
        if not _may_correct(upload, person):
            raise HTTPException(404)
        open_ = open_report(stores, upload.job, upload.counts.open)
        if isinstance(open_, str):
            return _page(request, upload, person, stores, open_)
        try:
            content, rows = corrected_file(open_, form)
            new_id = _receive_corrections(Sender(stores, person, request_id), upload, form, content, rows)
        except CorrectionError as error:
            return _page(request, upload, person, stores, str(error), form)
        request.state.job_id = new_id  # for the log
        return see_other(f"{PREFIX}/uploads/{new_id}")

    return await run_in_threadpool(send)


@router.post("/{job_id}/cancel")
def cancel_upload(
    request: Request, job_id: str, person: PersonNeed, visit: VisitNeed, form: UrlFormNeed, stores: StoresNeed
) -> Response:
    check_form(request, visit, form)
    job = stores.visible_imports.get(job_id, viewer(person)).job
    with suppress(JobFinishedError):  # the page shows how it ended
        stores.leases.cancel(job.id)
    return see_other(f"{PREFIX}/uploads/{job.id}")


@router.get("/{job_id}/errors.csv")
def errors_file(job_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    job = stores.visible_imports.get(job_id, viewer(person)).job
    name = f"{PurePath(job.file_name).stem}-errors.csv"
    return stored_file(
        stores.objects,
        stores.settings.s3_bucket_reports,
        stores.failures.key(job, ERRORS_CSV),
        name,
        "text/csv",
    )


@router.get("/{job_id}/rejected")
def rejected_file(job_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    job = stores.visible_imports.get(job_id, viewer(person)).job
    return _report(stores, job, rejected_name(job.reports))


@router.get("/{job_id}/rejected.xlsx")
def rejected_workbook(job_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    job = stores.visible_imports.get(job_id, viewer(person)).job
    return _report(stores, job, WORKBOOK if WORKBOOK in job.reports else None)


@router.get("/{job_id}/original")
def original_file(job_id: str, person: PersonNeed, stores: StoresNeed) -> Response:
    job = stores.visible_imports.get(job_id, viewer(person)).job
    if job.archive_key is None:
        raise HTTPException(404)
    return stored_file(stores.objects, stores.settings.s3_bucket_archive, job.archive_key, job.file_name)


def _page(
    request: Request,
    upload: VisibleImport,
    person: Account,
    stores: Stores,
    problem: str | None = None,
    typed: FormData | None = None,
) -> Response:
    job = upload.job
    corrections, under_way = Corrections(), None
    rejected = NONE
    if job.status.is_final and job.reports:
        only = None
        if _may_correct(upload, person):
            under_way = stores.rejected_rows.corrections_under_way(key_start(job))
            corrections = form_of(open_report(stores, job, upload.counts.open), typed)
            only = corrections.unfit if corrections.rows or corrections.unfit else None
        rejected = first_rejected(stores, job, only)
    parents = stores.visible_imports.all_of([*job.parents][:_MOST_PARENTS])
    return page(
        request,
        "upload.html",
        400 if problem else 200,
        job=job,
        counts=upload.counts,
        rejected=rejected,
        corrections=corrections,
        under_way=under_way,
        parents=[parent for parent in parents.values() if viewer(person).sees(parent.job.owner_id)],
        problem=problem,
        once=uuid4().hex,
        has_rejected_file=rejected_name(job.reports) is not None,
        has_workbook=WORKBOOK in job.reports,
        may_send=person.rights.may_import(job.table),
    )


def _may_correct(upload: VisibleImport, person: Account) -> bool:
    job = upload.job
    return (
        job.status.is_final
        and rejected_name(job.reports) is not None
        and job.table in tables.names()
        and person.rights.may_import(job.table)
    )


def _receive_corrections(
    sender: Sender, upload: VisibleImport, form: FormData, content: bytes, rows: list[ReportRow]
) -> str:
    """Return the id of the upload, which for a form that was sent before is the first one's.

    Raises `CorrectionError` if the rows have been corrected in the meantime, or are being loaded.
    """
    job, known = upload.job, sender.stores.rejected_rows
    key = key_of(job, once_token(form), content)
    if (earlier := known.of_request(sender.scope, key)) is not None:
        return earlier
    if known.corrections_under_way(key_start(job)) is not None:
        raise CorrectionError(_UNDER_WAY)
    still_open = known.still_open([(row.job, row.job_row) for row in rows])
    if done := [row for row in rows if (row.job, row.job_row) not in still_open]:
        raise CorrectionError(_DONE.format(rows=", ".join(str(row.line) for row in done[:_MOST_NAMED])))
    syntax = ReportSyntax.of(job.dialect or {})
    assert syntax is not None, "the file has been made with it"
    options = ImportOptions(job.table, job.mode, key, format_of_file(job, syntax))
    return receive(
        sender, options, name_of_file(job), BytesIO(content), len(content), sha256(content).hexdigest()
    )


def _report(stores: Stores, job: ImportJob, report: str | None) -> Response:
    if report is None:
        raise NotFoundError(f"job {job.id} has no rejected rows")
    name = f"{PurePath(job.file_name).stem}-{report}"
    return stored_file(
        stores.objects, stores.settings.s3_bucket_reports, stores.failures.key(job, report), name
    )
