"""Rejected rows that are corrected on the page of their upload: the fields of the form, and the file that it makes.

The file is the report of rejected rows with only these rows and the changed cells written anew, so that it is imported
like a report that somebody has corrected and sent: its rows have origins, and cells that nobody touched keep their
bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import PurePath

from starlette.datastructures import FormData

from bulk_pipeline import tables
from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.ledger.failure_reports import ReportLine
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.office.formats import shown
from bulk_pipeline.office.rejected_rows import column_of, meanings
from bulk_pipeline.office.report_cells import (
    RejectedReport,
    ReportCell,
    ReportRow,
    ReportSyntax,
    corrected_row,
    read_report,
)
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline.stages.formats import FORMATS
from bulk_pipeline.stages.report_names import ADDED_COLUMNS, rejected_name

MOST_ROWS = 50
_MOST_CELLS, _MOST_COLUMNS = 2_000, 60
_MOST_ROW_BYTES, _MOST_BYTES = 20_000, 400_000
_MOST_REPORT_BYTES = 2 << 20
"""Read of the report: rows beyond are in the files only."""
_MOST_FAILURES, _PAGE_OF_FAILURES = 20_000, 1_000
_MOST_TEXT, _LINE_LENGTH = 1_000, 60
_WHOLE = ("malformed_row",)
"""Codes of rows that have no cells of their own."""


@dataclass(frozen=True)
class Field:
    """The field of a cell. `value`: what stands in it; `text` what the file has.

    `is_shown`: the field begins with the text. Otherwise it is empty, and left empty it keeps the cell, as the text has
    invisible characters or is too long.
    """

    name: str
    column: str
    text: str
    value: str
    is_shown: bool
    problems: tuple[str, ...]

    @property
    def is_long(self) -> bool:
        return "\n" in self.value or len(self.value) > _LINE_LENGTH


@dataclass(frozen=True)
class FormRow:
    """A row of the form. `line`: of the file, or the row of the sheet. `problems`: of the row as a whole."""

    number: int
    line: int
    fields: tuple[Field, ...]
    problems: tuple[str, ...]
    is_left_out: bool = False

    @property
    def leave_out(self) -> str:
        return f"leave-{self.number}"


@dataclass(frozen=True)
class Corrections:
    """The fields of open rows. `has_more`: the form has the next ones when these are sent.

    `unfit`: the numbers of open rows that no form has, as far as they are among the first. `reason`: a sentence that
    says why there is no form.
    """

    rows: tuple[FormRow, ...] = ()
    has_more: bool = False
    unfit: frozenset[int] = frozenset()
    reason: str | None = None


class CorrectionError(Exception):
    """The form cannot be sent as it is. The text is a sentence for the person."""


@dataclass(frozen=True)
class OpenReport:
    """The report of rejected rows, as far as it is read, with its open rows that fit a form, and their failures.

    `has_more`, `unfit`: as in `Corrections`. `columns`: the table's column by the name that the file has for it.
    """

    report: RejectedReport
    rows: tuple[ReportRow, ...]
    has_more: bool
    unfit: frozenset[int]
    failures: Mapping[int, Sequence[ReportLine]]
    columns: Mapping[str, str]


NOT_OF_SHEETS = (
    "The rows of a JSON or Parquet file cannot be corrected on this page: download them, correct them, and send that "
    "file."
)
NO_ORIGINS = (
    "These rows cannot be corrected on this page, as the list of them does not say where they come from: download "
    "them, correct them, and send that file."
)
ALL_LEFT_OUT = "Every row is left out, so there is nothing to send."
NO_QUOTES = (
    "Row {row}, {column}: the file has no quotes, so that a cell cannot contain {value}. Write it without line breaks, "
    "delimiters and blanks at its ends."
)


def open_report(stores: Stores, job: ImportJob, open_rows: int) -> OpenReport | str:
    """Return the rejected rows that are still to be corrected, or a sentence that says why no form can have them.

    `open_rows`: the number of rows that the job itself has rejected and no other has imported.
    """
    name = rejected_name(job.reports)
    dialect = job.dialect or {}
    format_ = FORMATS.get(str(dialect.get("format")))
    if name is None or format_ is None or format_.rejected_as not in ("csv", "tsv"):
        return NOT_OF_SHEETS
    syntax = ReportSyntax.of(dialect)
    if syntax is None or job.upload_format.no_header or not dialect.get("header"):
        return NO_ORIGINS
    try:
        with stores.objects.open(stores.settings.s3_bucket_reports, stores.failures.key(job, name)) as file:
            data = file.read(_MOST_REPORT_BYTES)
    except NotFoundError:
        return NO_ORIGINS
    report = read_report(data, syntax, is_whole=len(data) < _MOST_REPORT_BYTES)
    if report is None:
        return NO_ORIGINS
    pages = _pages_of_failures(stores, job)
    first = next(pages)
    origins = {row.number: (row.job, row.job_row) for row in report.rows}
    origins = {failure.row: (job.id, failure.row) for failure in first} | origins
    unfixed = stores.rejected_rows.still_open([*origins.values()])
    open_numbers = {
        number
        for number, origin in origins.items()
        if origin in unfixed and (open_rows or origin[0] != job.id)
    }
    fitting = [row for row in report.rows if row.number in open_numbers and _fits(row)]
    failures = _failures(chain([first], pages), fitting[: 2 * MOST_ROWS])
    usable = [row for row in fitting[: 2 * MOST_ROWS] if _has_cells(failures[row.number])]
    rows = tuple(_first(usable))
    later = {row.number for row in [*usable, *fitting[2 * MOST_ROWS :]]}
    known = meanings(tables.get(job.table), job.upload_format) if job.table in tables.names() else {}
    has_more = not report.is_whole or len(later) > len(rows)
    return OpenReport(report, rows, has_more, frozenset(open_numbers - later), failures, known)


def form_of(open_: OpenReport | str, typed: FormData | None = None) -> Corrections:
    """Return the form. `typed`: what stood in its fields when it was sent."""
    if isinstance(open_, str):
        return Corrections(reason=open_)
    rows = tuple(_form_row(open_, row, typed) for row in open_.rows)
    return Corrections(rows, open_.has_more, open_.unfit)


def corrected_file(open_: OpenReport, form: FormData) -> tuple[bytes, list[ReportRow]]:
    """Return the file with the rows of the form that are not left out, and these rows.

    Raises `CorrectionError` if there is none, or if a cell cannot be written.
    """
    sent = {value for value in form.getlist("row") if isinstance(value, str)}
    report = open_.report
    chosen = [row for row in report.rows if str(row.number) in sent and f"leave-{row.number}" not in form]
    if not chosen:
        raise CorrectionError(ALL_LEFT_OUT)
    lines = [corrected_row(report, row, [*_cells(report, row, form)]) for row in chosen]
    return report.start + b"".join(lines), chosen


def format_of_file(job: ImportJob, syntax: ReportSyntax) -> UploadFormat:
    """Return what is declared for the file: as for the upload, whose cells it has, in the form of the report."""
    return replace(
        job.upload_format,
        encoding=None,
        sheet=None,
        records=None,
        no_header=False,
        header_row=1,
        delimiter=syntax.delimiter.decode(),
        quote=syntax.quote.decode(),
    )


def name_of_file(job: ImportJob) -> str:
    return f"{PurePath(job.file_name).stem}-corrected{PurePath(rejected_name(job.reports) or '.csv').suffix}"


def key_start(job: ImportJob) -> str:
    """Return the beginning of the idempotency keys of corrections of the job."""
    return f"office mend {job.id} "


def key_of(job: ImportJob, token: str, content: bytes) -> str:
    """Return the idempotency key. After "back", the same form with other cells is another upload."""
    return key_start(job) + sha256(f"{token} {sha256(content).hexdigest()}".encode()).hexdigest()


def _cells(report: RejectedReport, row: ReportRow, form: FormData) -> list[bytes]:
    cells = list[bytes]()
    for at, cell in enumerate(row.cells):
        value = _typed(form, _name(row, at))
        if value is None or value == _shown_text(cell):
            cells.append(cell.raw)
            continue
        written = report.syntax.written(value)
        if written is None:
            raise CorrectionError(
                NO_QUOTES.format(
                    row=row.line, column=shown(report.names[at], 60), value=repr(shown(value, 60))
                )
            )
        cells.append(written)
    return cells


def _form_row(open_: OpenReport, row: ReportRow, typed: FormData | None) -> FormRow:
    failures = open_.failures.get(row.number, ())
    wrong = dict.fromkeys(failure.column for failure in failures if failure.column)
    fields = list[Field]()
    placed = set[str]()
    for at, (title, cell) in enumerate(zip(open_.report.names, row.cells, strict=True)):
        if title in ADDED_COLUMNS:
            continue
        column = column_of(title, wrong, open_.columns)
        placed.add(column)
        name, text = _name(row, at), _shown_text(cell)
        value = _typed(typed, name) if typed is not None else None
        problems = dict.fromkeys(failure.message for failure in failures if failure.column == column)
        fields.append(
            Field(name, title, cell.text, text if value is None else value, _is_shown(cell), tuple(problems))
        )
    whole = dict.fromkeys(failure.message for failure in failures if failure.column not in placed)
    is_left_out = typed is not None and f"leave-{row.number}" in typed
    return FormRow(row.number, row.line, tuple(fields), tuple(whole), is_left_out)


def _first(rows: Sequence[ReportRow]) -> Sequence[ReportRow]:
    """Return as many rows as one form may have."""
    cells = size = 0
    for count, row in enumerate(rows):
        cells += len(row.cells)
        size += _size(row)
        if count == MOST_ROWS or cells > _MOST_CELLS or size > _MOST_BYTES:
            return rows[:count]
    return rows


def _fits(row: ReportRow) -> bool:
    return len(row.cells) <= _MOST_COLUMNS and _size(row) <= _MOST_ROW_BYTES


def _size(row: ReportRow) -> int:
    return sum(len(cell.raw) for cell in row.cells)


def _has_cells(failures: Sequence[ReportLine]) -> bool:
    """Return whether a row's failures are known, and it is not one whose cells may be those of others."""
    return bool(failures) and not any(
        failure.code in _WHOLE or (failure.code == "too_long" and failure.column is None)
        for failure in failures
    )


def _pages_of_failures(stores: Stores, job: ImportJob) -> Iterator[list[ReportLine]]:
    """Yield the first failures of the job, a page at a time; the first page may be empty."""
    cursor = None
    for _ in range(_MOST_FAILURES // _PAGE_OF_FAILURES):
        page = stores.failures.page(job, limit=_PAGE_OF_FAILURES, cursor=cursor)
        yield page.failures
        cursor = page.next
        if cursor is None:
            return


def _failures(pages: Iterable[list[ReportLine]], rows: Sequence[ReportRow]) -> dict[int, list[ReportLine]]:
    """Return the failures of the rows, as far as the pages have them."""
    found: dict[int, list[ReportLine]] = {row.number: [] for row in rows}
    last = max(found, default=0)
    for page in pages:
        for failure in page:
            if failure.row in found:
                found[failure.row].append(failure)
        if page and page[-1].row > last:
            break
    return found


def _name(row: ReportRow, at: int) -> str:
    return f"cell-{row.number}-{at}"


def _is_shown(cell: ReportCell) -> bool:
    return len(cell.text) <= _MOST_TEXT and cell.text.replace("\n", "").isprintable()


def _shown_text(cell: ReportCell) -> str:
    return cell.text if _is_shown(cell) else ""


def _typed(form: FormData, name: str) -> str | None:
    """Return the text of a field, with line ends as the file has them; None without the field."""
    value = form.get(name)
    return value.replace("\r\n", "\n").replace("\0", "") if isinstance(value, str) else None
