"""Imports of customers, for clients that have a token; every job is its owner's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from bulk_pipeline.api import documented
from bulk_pipeline.api.customer_jobs import Job, shown
from bulk_pipeline.api.idempotency_keys import required_key
from bulk_pipeline.api.needs import RequestIdNeed, StoresNeed
from bulk_pipeline.api.tokens import AccountNeed
from bulk_pipeline.api.uploads import FormNeed, content_of, file_body, file_of, refuse_what_is_no_table
from bulk_pipeline.errors import JobNotFinishedError, NotFoundError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.schema import Mode, UploadFormat, charset_of
from bulk_pipeline.stores.accounts import Account
from bulk_pipeline.stores.failure_reports import CSV
from bulk_pipeline.stores.jobs import ImportJob
from bulk_pipeline.stores.receiver import Upload

router = APIRouter(prefix="/imports", tags=["customers"])

_TABLE = "customers"


class Link(BaseModel):
    """Good for a while, without a token."""

    url: Annotated[
        str, Field(examples=["https://files.example.com/reports/…/errors.csv?X-Amz-Algorithm=…"], repr=False)
    ]


@router.post(
    "",
    summary="Import a file of customers",
    status_code=201,
    responses={200: {"model": Job, "description": "The same request came before: its job"}}
    | documented.BAD_REQUEST
    | documented.UNAUTHORIZED
    | documented.CONFLICT
    | documented.TOO_LARGE
    | documented.STORE_DOWN,
    openapi_extra=file_body({}),
)
def post_import(
    request: Request,
    account: AccountNeed,
    form: FormNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
    response: Response,
    mode: Annotated[
        Mode, Query(description="What to do with rows that are there already")
    ] = Mode.INSERT_ONLY,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Required. The same key again is answered with the same job; with another file it is refused"
        ),
    ] = None,
) -> Job:
    file = file_of(form)
    if file is None:
        raise RequestValidationError([{"loc": ("body", "file"), "msg": "Field required", "type": "missing"}])
    key = required_key(idempotency_key)
    content, size_bytes, sha256 = content_of(file)
    name = file.filename or "upload"
    refuse_what_is_no_table(content, size_bytes, name, _TABLE)
    receipt = stores.receiver.receive(
        Upload(
            table=_TABLE,
            mode=mode,
            name=name,
            content=content,
            size_bytes=size_bytes,
            sha256=sha256,
            scope=f"account {account.id}",
            owner_id=account.id,
            idempotency_key=key,
            format=UploadFormat(encoding=charset_of(file.content_type or "")),
            request_id=request_id,
        )
    )
    request.state.job_id = receipt.job.id  # for the log
    response.status_code = 201 if receipt.is_new else 200
    return shown(stores, receipt.job)


@router.get(
    "/{job_id}",
    summary="Look at an import",
    responses=documented.UNAUTHORIZED | documented.NOT_FOUND | documented.STORE_DOWN,
)
def get_import(account: AccountNeed, job_id: UUID, stores: StoresNeed) -> Job:
    return shown(stores, _owned(stores, account, job_id))


@router.get(
    "/{job_id}/errors",
    summary="Get a link to errors.csv",
    responses=documented.UNAUTHORIZED | documented.NOT_FOUND | documented.CONFLICT | documented.STORE_DOWN,
)
def get_errors(account: AccountNeed, job_id: UUID, stores: StoresNeed) -> Link:
    job = _owned(stores, account, job_id)
    if not job.status.is_final:
        raise JobNotFinishedError(f"job {job.id} is {job.status}: its errors come when it has finished")
    key = stores.failures.key(job, CSV)
    settings = stores.settings
    url = stores.public_objects.presigned_url(
        settings.s3_bucket_reports,
        key,
        seconds=settings.api_presigned_seconds,
        file_name=f"errors_{job.id}.csv",
    )
    return Link(url=url)


def _owned(stores: Stores, account: Account, job_id: UUID) -> ImportJob:
    job = stores.ledger.get(str(job_id))
    if job.owner_id != account.id or job.table != _TABLE:
        raise NotFoundError(f"no job {job_id}")
    return job
