"""The page of a check: what is wrong with a file, before anything of it is loaded."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.import_intake import Sender, receive
from bulk_pipeline.api.import_requests import ImportOptions
from bulk_pipeline.ledger.file_checks import FileCheck
from bulk_pipeline.office.pages import PREFIX, page, see_other
from bulk_pipeline.office.rejected_rows import NONE, read_rejected
from bulk_pipeline.office.visits import PersonNeed, UrlFormNeed, VisitNeed, check_form
from bulk_pipeline.schema import NOTHING_DECLARED, Mode

router = APIRouter(prefix="/checks/{check_id}")


def _own_check(check_id: str, person: PersonNeed, stores: StoresNeed) -> FileCheck:
    """Return the check; 404 if it is somebody else's, or of a table that the person may not import into any more."""
    check = stores.file_checks.get(check_id)
    if check.owner_id != person.id or not person.rights.may_import(check.table_name):
        raise HTTPException(404)
    return check


CheckNeed = Annotated[FileCheck, Depends(_own_check)]


@router.get("")
def check_page(request: Request, check: CheckNeed) -> Response:
    result = check.result
    return page(
        request,
        "check.html",
        check=check,
        result=result,
        rejected=read_rejected(result["rejected"]) if result else NONE,
    )


@router.post("/load")
def load_file(
    request: Request,
    check: CheckNeed,
    person: PersonNeed,
    visit: VisitNeed,
    form: UrlFormNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
) -> Response:
    """Send the checked file as an upload, once for each check."""
    check_form(request, visit, form)
    options = ImportOptions(check.table_name, Mode(check.mode), f"office check {check.id}", NOTHING_DECLARED)
    with stores.objects.open(stores.settings.s3_bucket_archive, check.object_key) as content:
        job_id = receive(
            Sender(stores, person, request_id),
            options,
            check.file_name,
            content,
            check.size_bytes,
            check.sha256,
        )
    request.state.job_id = job_id  # for the log
    return see_other(f"{PREFIX}/uploads/{job_id}")
