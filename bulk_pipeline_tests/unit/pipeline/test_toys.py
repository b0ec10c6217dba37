"""A failure code and a format defined by this test work from upload to report: new ones need no other change."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline.pipeline.check import CheckedFile, check
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.failures import CODES, Code, FailureCode
from bulk_pipeline.stages.formats import FORMATS, FileFormat, imported_names
from bulk_pipeline.stages.parse import header_match, open_upload
from bulk_pipeline.stages.parse.parsed import (
    RAW,
    Dialect,
    FailureRows,
    OpenFile,
    ParseContext,
    ParsedChunk,
    records_schema,
)
from bulk_pipeline.stages.parse.upload import FILE_READERS
from bulk_pipeline.stages.validate.checks import CHECKS, CellCheck
from bulk_pipeline_tests import reference

UNLUCKY = FailureCode("unlucky", "has a number that nobody wants", "use another number")
NO_THIRTEEN = CellCheck(
    "no_thirteen",
    UNLUCKY,
    lambda column, cells: pc.binary_join_element_wise(f"{column.name} '", cells, "' is unlucky", ""),
    lambda table, column, required: (
        (lambda cells: pc.not_equal(cells, "13")) if column.name == "phone" else None
    ),
)


class Checking:
    """Passes files through parse, validate, split and report, and has the last reports."""

    def __init__(self, folder: Path) -> None:
        self._work = WorkLocation(folder)
        self.reports: dict[str, bytes] = {}

    def check(self, name: str, content: bytes) -> CheckedFile:
        table = tables.get("customers")
        upload = open_upload(io.BytesIO(content), name, table=table, mode=Mode.INSERT_ONLY)
        return check(upload, table, Mode.INSERT_ONLY, self._work, self._report, None)

    @contextmanager
    def _report(self, name: str) -> Iterator[io.BytesIO]:
        sink = io.BytesIO()
        yield sink
        self.reports[name] = sink.getvalue()


@pytest.fixture
def checking(tmp_path: Path) -> Checking:
    return Checking(tmp_path)


def test_a_new_failure_code_is_reported_and_documented(
    checking: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CODES, UNLUCKY, UNLUCKY)
    monkeypatch.setitem(CHECKS, NO_THIRTEEN.name, NO_THIRTEEN)

    checked = checking.check("customers.csv", b"email,phone\na@x.co,12\nb@x.co,13\n,13\n")

    assert (checked.good, checked.reported.codes) == (1, {"required": 1, "unlucky": 2})
    assert checking.reports["errors.csv"].decode().splitlines()[1:] == [
        """2,"phone '13' is unlucky","b@x.co,13\"""",
        """3,"email is required, but the cell is empty; phone '13' is unlucky",",13\"""",
    ]
    assert "| `unlucky` | has a number that nobody wants | use another number |\n" in (
        reference.PARTS["failure-codes"]()
    )


def open_cards(path: Path, context: ParseContext) -> OpenFile:
    """Open a file of lines `email;city` below magic bytes; a line of another width is malformed."""
    columns = header_match.of_table(("email", "city"), tables.get("customers"), None, context.notes)
    context.notes.columns = columns.names
    failures, records, raw = FailureRows(), [], []
    for row, line in enumerate(path.read_bytes().splitlines()[1:], 1):
        raw.append({"_row": row, "_line": row + 1, "raw": b'{"card":"%s"}' % line})
        cells = line.decode().split(";")
        if len(cells) == len(columns.names):
            records.append({"_row": row, "_line": row + 1, **dict(zip(columns.names, cells, strict=True))})
        else:
            failures.add(row, row + 1, None, Code.MALFORMED_ROW, line.decode(), "is no card")
    chunk = ParsedChunk(
        pa.RecordBatch.from_pylist(records, schema=records_schema(columns.names)),
        pa.RecordBatch.from_pylist(raw, schema=RAW),
        failures.batch(),
    )
    return OpenFile(Dialect(CARDS.name), context.notes, iter([chunk]))


CARDS = FileFormat(
    name="cards",
    suffixes=(".cards",),
    content_type="application/x-cards",
    title="a box of cards",
    magic=(b"CARDS1\n",),
)


def test_a_new_format_is_recognised_read_and_reported(
    checking: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, CARDS.name, CARDS)
    monkeypatch.setitem(FILE_READERS, CARDS.name, open_cards)

    checked = checking.check("box.cards.gz", gzip.compress(b"CARDS1\na@x.co;Rome\nnobody\nat home;Bonn\n"))

    assert (checked.good, checked.warnings) == (1, ())
    assert checked.reported.codes == {"bad_format": 1, "malformed_row": 1}
    assert checking.reports["rejected.ndjson"].decode().splitlines() == [
        '{"_row":2,"_line":3,"_errors":"is no card","card":"nobody"}',
        '{"_row":3,"_line":4,"_errors":"email \'at home\' is not an address like local@domain.tld",'
        '"card":"at home;Bonn"}',
    ]
    assert CARDS.name in imported_names()
    with pytest.raises(FileError, match=r"expected CSV, .* or a box of cards, also inside \.gz"):
        checking.check("a.csv", b"%PDF-1.7\n")
