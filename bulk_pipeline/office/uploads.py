"""The pages of uploads: the list, and what became of one, with its files."""

from contextlib import suppress
from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from bulk_pipeline.api.authorization import viewer
from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.dependencies import StoresNeed
from bulk_pipeline.api.stored_files import stored_file
from bulk_pipeline.errors import JobFinishedError, NotFoundError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.office.pages import PREFIX, page, see_other
from bulk_pipeline.office.rejected_rows import NONE, first_rejected
from bulk_pipeline.office.visits import PersonNeed, UrlFormNeed, VisitNeed, check_form
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stages.report_names import ERRORS_CSV, WORKBOOK, rejected_name

router = APIRouter(prefix="/uploads")

_ON_A_PAGE = 50
_LONGEST_SEARCH = 200


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
    upload = stores.visible_imports.get(job_id, viewer(person))
    job = upload.job
    has_reports = job.status.is_final and bool(job.reports)
    return page(
        request,
        "upload.html",
        job=job,
        counts=upload.counts,
        rejected=first_rejected(stores, job) if has_reports else NONE,
        has_rejected_file=rejected_name(job.reports) is not None,
        has_workbook=WORKBOOK in job.reports,
        may_send=person.rights.may_import(job.table),
    )


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


def _report(stores: Stores, job: ImportJob, report: str | None) -> Response:
    if report is None:
        raise NotFoundError(f"job {job.id} has no rejected rows")
    name = f"{PurePath(job.file_name).stem}-{report}"
    return stored_file(
        stores.objects, stores.settings.s3_bucket_reports, stores.failures.key(job, report), name
    )
