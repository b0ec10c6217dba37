"""Imports of customers, with a token. A job is visible to its owner and to accounts that may see all jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from bulk_pipeline.api import openapi
from bulk_pipeline.api.authorization import check_import, viewer
from bulk_pipeline.api.customer_views import Job, shown
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.request_parts import (
    MOST_KEY_CHARACTERS,
    FormNeed,
    content_of,
    file_body,
    file_of,
    refuse_unreadable,
    required_key,
)
from bulk_pipeline.api.tokens import AccountNeed
from bulk_pipeline.errors import JobNotFinishedError, NotFoundError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.uploads import Upload
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.schema import Mode, UploadFormat, charset_of
from bulk_pipeline.stages.report_names import ERRORS_CSV

router = APIRouter(prefix="/imports", tags=["customers"])

_TABLE = "customers"
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A repeated key returns the same job; with another file it is refused",
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_KEY_CHARACTERS, "pattern": r"\S"},
}


class Link(BaseModel):
    """A URL that works for a limited time, without a token."""

    url: Annotated[
        str, Field(examples=["https://files.example.com/reports/…/errors.csv?X-Amz-Algorithm=…"], repr=False)
    ]


async def _importer(account: AccountNeed) -> Account:
    check_import(account, _TABLE)
    return account


ImporterNeed = Annotated[Account, Depends(_importer)]
"""The account of the token; 403 if it may not import customers, before the body is read."""


@router.post(
    "",
    summary="Import a file of customers",
    status_code=201,
    responses={200: {"model": Job, "description": "A repeated request: the job of the first one"}}
    | openapi.BAD_REQUEST
    | openapi.UNAUTHORIZED
    | openapi.FORBIDDEN
    | openapi.CONFLICT
    | openapi.TOO_LARGE
    | openapi.STORE_DOWN,
    openapi_extra=file_body({}) | {"parameters": [_KEY]},
)
def post_import(
    request: Request,
    account: ImporterNeed,
    form: FormNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
    response: Response,
    mode: Annotated[Mode, Query(description="What to do with rows whose key exists")] = Mode.INSERT_ONLY,
    idempotency_key: Annotated[
        str | None,
        Header(include_in_schema=False),  # 400 without it, where FastAPI would answer 422
    ] = None,
) -> Job:
    file = file_of(form)
    if file is None:
        raise RequestValidationError([{"loc": ("body", "file"), "msg": "Field required", "type": "missing"}])
    key = required_key(idempotency_key)
    content, size_bytes, sha256 = content_of(file)
    name = file.filename or "upload"
    refuse_unreadable(content, size_bytes, name, _TABLE)
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
    summary="Get an import",
    responses=openapi.UNAUTHORIZED | openapi.NOT_FOUND | openapi.STORE_DOWN,
)
def get_import(account: AccountNeed, job_id: UUID, stores: StoresNeed) -> Job:
    return shown(stores, _visible(stores, account, job_id))


@router.get(
    "/{job_id}/errors",
    summary="Get a link to errors.csv",
    responses=openapi.UNAUTHORIZED | openapi.NOT_FOUND | openapi.CONFLICT | openapi.STORE_DOWN,
)
def get_errors(account: AccountNeed, job_id: UUID, stores: StoresNeed) -> Link:
    job = _visible(stores, account, job_id)
    if not job.status.is_final:
        raise JobNotFinishedError(f"job {job.id} is {job.status}: its errors appear when it has finished")
    key = stores.failures.key(job, ERRORS_CSV)
    settings = stores.settings
    url = stores.public_objects.presigned_url(
        settings.s3_bucket_reports,
        key,
        seconds=settings.api_presigned_seconds,
        file_name=f"errors_{job.id}.csv",
    )
    return Link(url=url)


def _visible(stores: Stores, account: Account, job_id: UUID) -> ImportJob:
    job = stores.ledger.get(str(job_id))
    if job.table != _TABLE or not viewer(account).sees(job.owner_id):
        raise NotFoundError(f"no job {job_id}")
    return job
