"""The first rejected rows of an upload with their cells, the wrong ones marked, from the reports of its job."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from bulk_pipeline import tables
from bulk_pipeline.errors import DeclarationError, NotFoundError
from bulk_pipeline.ledger.failure_reports import ReportLine
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.schema import Table, UploadFormat
from bulk_pipeline.stages.report_names import ADDED_COLUMNS, rejected_name

MOST_ROWS = 20
_MOST_FAILURES = 200
_MOST_BYTES = 512 << 10
"""Read of the report of rejected rows: rows beyond are shown without their other cells."""
_MOST_COLUMNS = 8
_BOUNDARY = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Cell:
    """A cell as it stands in the file; None if it has none. `problems`: what is wrong with it, a sentence each."""

    text: str | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class RejectedRow:
    """`number`: the line of the file or the row of the sheet. `problems`: of the row as a whole."""

    number: int
    cells: tuple[Cell, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class RejectedRows:
    """`columns`: the names above the cells."""

    columns: tuple[str, ...]
    rows: tuple[RejectedRow, ...]

    @property
    def have_problems_as_a_whole(self) -> bool:
        return any(row.problems for row in self.rows)


NONE = RejectedRows((), ())


def first_rejected(stores: Stores, job: ImportJob, only: Collection[int] | None = None) -> RejectedRows:
    """Return the first `MOST_ROWS` rejected rows, or of those with these numbers; none if the reports have expired."""
    if only is not None and not only:
        return NONE
    failures = stores.failures.page(job, limit=_MOST_FAILURES).failures
    failures = [failure for failure in failures if only is None or failure.row in only]
    if not failures:
        return NONE
    name = rejected_name(job.reports) or ""
    try:
        with stores.objects.open(stores.settings.s3_bucket_reports, stores.failures.key(job, name)) as file:
            raw = _cells_by_row(file.read(_MOST_BYTES), name, job.dialect or {})
    except NotFoundError:
        raw = {}
    known = meanings(tables.get(job.table), job.upload_format) if job.table in tables.names() else {}
    return marked(failures, raw, known)


def raw_rows(report: Path, dialect: Mapping[str, Any]) -> dict[int, dict[str, str | None]]:
    """Return the cells of the first rejected rows, by row number, from a report of rejected rows on this machine."""
    with report.open("rb") as file:
        return _cells_by_row(file.read(_MOST_BYTES), report.name, dialect)


def read_rejected(stored: Mapping[str, Any]) -> RejectedRows:
    """Return the rows that `dataclasses.asdict` has turned into JSON."""
    rows = (
        RejectedRow(
            row["number"],
            tuple(Cell(cell["text"], tuple(cell["problems"])) for cell in row["cells"]),
            tuple(row["problems"]),
        )
        for row in stored["rows"]
    )
    return RejectedRows(tuple(stored["columns"]), tuple(rows))


def marked(
    failures: list[ReportLine], raw: Mapping[int, Mapping[str, str | None]], meanings: Mapping[str, str]
) -> RejectedRows:
    """Return the rows of the failures. `raw`: their cells by row number; `meanings`: the table's column by the name
    that the file has for it, where declared."""
    by_row = [(row, list(group)) for row, group in groupby(failures, key=lambda failure: failure.row)]
    by_row = by_row[:MOST_ROWS]
    wrong = dict.fromkeys(failure.column for _, group in by_row for failure in group if failure.column)
    names = dict.fromkeys(name for row, _ in by_row for name in raw.get(row, {}))
    columns = {column_of(name, wrong, meanings): name for name in reversed(names)}
    titles = {column: columns.get(column, column) for column in (*reversed(columns), *wrong)}
    if len(titles) > _MOST_COLUMNS:
        first = [column for column in titles if column not in wrong][: max(0, _MOST_COLUMNS - len(wrong))]
        titles = {column: title for column, title in titles.items() if column in (*first, *wrong)}
    rows = tuple(_row(group, raw.get(row, {}), titles) for row, group in by_row)
    return RejectedRows(tuple(titles.values()), rows)


def _row(failures: list[ReportLine], raw: Mapping[str, str | None], titles: Mapping[str, str]) -> RejectedRow:
    cells = []
    for column, title in titles.items():
        own = [failure for failure in failures if failure.column == column]
        text = raw.get(title) if title in raw else next((failure.value for failure in own), None)
        cells.append(Cell(text, tuple(dict.fromkeys(failure.message for failure in own))))
    whole = tuple(failure.message for failure in failures if failure.column is None)
    return RejectedRow(failures[0].line or failures[0].row, tuple(cells), whole)


def column_of(name: str, wrong: Mapping[str, object], meanings: Mapping[str, str]) -> str:
    """Return the table's column that a name of the file stands for, as far as needed to mark cells."""
    if name in meanings:
        return meanings[name]
    if name in wrong:
        return name
    plain = _plain(name)
    return next((column for column in wrong if _plain(column) == plain), name)


def _plain(name: str) -> str:
    """Return the spelling that headers are matched by, near enough: `E-Mail` is `email`."""
    return _BOUNDARY.sub("", unicodedata.normalize("NFKD", name.casefold()))


def meanings(table: Table, declared: UploadFormat) -> dict[str, str]:
    """Return the columns of the table by other names that are declared for them."""
    try:
        return dict(table.format_of(declared).columns)
    except DeclarationError:  # declared otherwise since
        return {}


def _cells_by_row(data: bytes, name: str, dialect: Mapping[str, Any]) -> dict[int, dict[str, str | None]]:
    """Return the cells of rows by number; none if a cell is too large to be shown."""
    text = data.decode("utf-8-sig", "replace")
    if len(data) == _MOST_BYTES:
        text = text[: text.rfind("\n") + 1]
    try:
        return dict(_of_json(text) if name.endswith(".ndjson") else _of_csv(text, dialect))
    except (csv.Error, orjson.JSONDecodeError):
        return {}


def _of_json(text: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    for line in text.splitlines()[:MOST_ROWS]:
        record = orjson.loads(line)
        yield (
            record["_row"],
            {name: _text(value) for name, value in record.items() if name not in ADDED_COLUMNS},
        )


def _text(value: Any) -> str | None:  # any JSON value
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _of_csv(text: str, dialect: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, str | None]]]:
    is_text = dialect.get("format") in ("csv", "tsv")
    delimiter = (dialect.get("delimiter") or ",") if is_text else ","
    quote = dialect.get("quote") if is_text else '"'
    if len(delimiter) != 1:
        return
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar=dialect.get("escape") if is_text else None,
    )
    names = next(reader, [])
    added = sum(name in ADDED_COLUMNS for name in names)
    header = names[added:]
    for record, _ in zip(reader, range(MOST_ROWS), strict=False):
        if not record[:1] or not record[0].isdecimal():
            return  # a quote that is never closed: what follows cannot be told apart
        cells = record[added:]
        beyond = [f"({at})" for at in range(len(header) + 1, len(cells) + 1)]
        yield int(record[0]), dict(zip([*header, *beyond], cells, strict=False))
