"""The page of a table: what a file must have, and the form that takes one."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, BinaryIO
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from bulk_pipeline import tables
from bulk_pipeline.api.dependencies import RequestIdNeed, StoresNeed
from bulk_pipeline.api.import_intake import Sender, receive
from bulk_pipeline.api.import_requests import ImportOptions
from bulk_pipeline.api.request_parts import FormNeed, content_of, file_of, refuse_unreadable, text_of
from bulk_pipeline.errors import DeclarationError, FileError
from bulk_pipeline.ledger.file_checks import FileCheck
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.ledger.upload_keys import Address, archive_key
from bulk_pipeline.office.checker import MOST_WAITING
from bulk_pipeline.office.pages import PREFIX, page, see_other, words
from bulk_pipeline.office.visits import PersonNeed, VisitNeed, check_form, once_token
from bulk_pipeline.schema import Column, Mode, Table, UploadFormat, charset_of
from bulk_pipeline.schema.rules_in_words import kind, limits
from bulk_pipeline.stages import templates
from bulk_pipeline.stages.formats import FORMATS

router = APIRouter(prefix="/tables/{table}")

_NO_FILE = "Choose a file first."
_TOO_MANY = "too many files are being checked at the moment: try again in a moment, or load the file"
_FOLDER = "_checks"
"""The archive's folder for files that are only checked."""


async def _table_to_fill(table: str, person: PersonNeed) -> Table:
    """Return the table; 404 as for an unknown one if the person may not import into it."""
    if table not in tables.names() or not person.rights.may_import(table):
        raise HTTPException(404)
    return tables.get(table)


TableNeed = Annotated[Table, Depends(_table_to_fill)]


@dataclass(frozen=True)
class ColumnHelp:
    """A column in words. `name`: as templates have it. `required`: in the modes that the form offers first."""

    name: str
    kind: str
    rules: str
    required: bool


@router.get("")
def table_page(request: Request, table: TableNeed, stores: StoresNeed) -> Response:
    return _page(request, table, stores)


@router.get("/template.csv")
def csv_template(table: TableNeed) -> Response:
    return _template(table, "csv", "text/csv; charset=utf-8", templates.csv_template(table))


@router.get("/template.xlsx")
def workbook_template(table: TableNeed) -> Response:
    return _template(table, "xlsx", FORMATS["xlsx"].content_type, templates.workbook_template(table))


@router.post("/uploads")
async def send_file(
    request: Request,
    table: TableNeed,
    visit: VisitNeed,
    person: PersonNeed,
    form: FormNeed,
    stores: StoresNeed,
    request_id: RequestIdNeed,
) -> Response:
    """Store the file, once for each form and content: a form that is sent twice leads to the same upload."""
    check_form(request, visit, form)
    file = file_of(form)
    mode = _mode(text_of(form, "mode"), table)
    if file is None or not file.filename:
        return await run_in_threadpool(_page, request, table, stores, mode, _NO_FILE)

    def store() -> Response:
        content, size_bytes, sha256 = content_of(file)
        token = once_token(form)
        key, name = _key(token, table.upload_name, mode, sha256), file.filename or "upload"
        declared = UploadFormat(encoding=charset_of(file.content_type or ""))
        options = ImportOptions(table.upload_name, mode, key, declared)
        try:
            if text_of(form, "action") == "check":
                refuse_unreadable(content, size_bytes, name, table.upload_name)
                check = _new_check(person.id, options, name, size_bytes, sha256)
                return see_other(f"{PREFIX}/checks/{_start(request, stores, check, content)}")
            job_id = receive(Sender(stores, person, request_id), options, name, content, size_bytes, sha256)
        except (HTTPException, FileError, DeclarationError) as error:  # the file is empty, or holds no table
            sentence = str(error.detail if isinstance(error, HTTPException) else error)
            return _page(request, table, stores, mode, sentence)
        request.state.job_id = job_id  # for the log
        return see_other(f"{PREFIX}/uploads/{job_id}")

    return await run_in_threadpool(store)


def _new_check(owner_id: str, options: ImportOptions, name: str, size_bytes: int, sha256: str) -> FileCheck:
    check_id = new_id()
    address = Address(table=options.table, mode=options.mode)
    return FileCheck(
        id=check_id,
        owner_id=owner_id,
        form_token=str(options.key),
        table_name=options.table,
        mode=options.mode,
        file_name=name.replace("\0", ""),
        object_key=f"{_FOLDER}/{archive_key(address, check_id, name).partition('/')[2]}",
        size_bytes=size_bytes,
        sha256=sha256,
        created_at=datetime.now(UTC),
    )


def _start(request: Request, stores: StoresNeed, check: FileCheck, content: BinaryIO) -> str:
    """Store the file and let it be checked. Return the id of the check, which a repeated form finds again."""
    checker = request.app.state.checker
    if checker.waiting >= MOST_WAITING:
        raise HTTPException(429, _TOO_MANY)
    recorded, is_new = stores.file_checks.start(check)
    if is_new:
        try:
            stores.objects.upload(stores.settings.s3_bucket_archive, check.object_key, content)
        except BaseException:
            stores.file_checks.remove(check.id)
            raise
        checker.start(check.id)
    return recorded.id


def _page(
    request: Request, table: Table, stores: StoresNeed, mode: Mode | None = None, problem: str | None = None
) -> Response:
    return page(
        request,
        "table.html",
        200 if problem is None else 400,
        table=table,
        columns=column_help(table),
        has_template=not table.upload_format.no_header,
        modes=[*Mode] if table.keys else [],
        mode=mode or table.default_mode,
        once=uuid4().hex,
        most_bytes=stores.settings.api_max_upload_bytes,
        problem=words(request).gettext(problem) if problem else None,
    )


def column_help(table: Table) -> list[ColumnHelp]:
    """Return the columns that people fill in, in words."""
    names = templates.header(table) if not table.upload_format.no_header else None
    required = table.required_columns(table.default_mode)
    return [
        ColumnHelp(
            names[at] if names else column.name,
            kind(table, column),
            "; ".join(
                [
                    *_limits(column, is_required=column.name in required),
                    *(rule.message for rule in table.rules if column.name in rule.columns),
                ]
            ),
            column.name in required,
        )
        for at, column in enumerate(templates.columns(table))
    ]


def _limits(column: Column, *, is_required: bool) -> list[str]:
    """Return the rules of a column. What is made for an empty cell does not matter where none may be empty."""
    return limits(replace(column, generated=None) if is_required else column)


def _mode(text: str | None, table: Table) -> Mode:
    try:
        return Mode(text or table.default_mode)
    except ValueError:
        raise HTTPException(400) from None


def _key(token: str, table: str, mode: Mode, sha256: str) -> str:
    """Return the idempotency key. After "back", the same form with another file is another upload."""
    return "office " + hashlib.sha256(f"{token} {table} {mode} {sha256}".encode()).hexdigest()


def _template(table: Table, suffix: str, media_type: str, content: bytes) -> Response:
    disposition = f'attachment; filename="{table.upload_name}.{suffix}"'
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})
