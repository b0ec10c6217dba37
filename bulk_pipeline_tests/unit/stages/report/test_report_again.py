"""A file of rejected rows that is uploaded unchanged is read without warnings, and has the same failures."""

import codecs
import io
from collections.abc import Sequence
from fractions import Fraction

import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages.parse.upload import Upload, open_upload
from bulk_pipeline.stages.report import Reports, write_reports
from bulk_pipeline.stages.report.rejected import rejected_suffix
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

USERS = tables.get("users")
HEADER = "id,email,name,role\n"
GOOD = "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70,ann@example.com,Ann,admin\n"


class Checked:
    """A file parsed, validated and reported on."""

    def __init__(self, content: bytes, name: str, encoding: str | None = None) -> None:
        self.upload: Upload = open_upload(
            io.BytesIO(content), name, table=USERS, declared=UploadFormat(encoding=encoding)
        )
        raw, parsed, validated = [], [], []
        for chunk in self.upload:
            raw.append(chunk.raw)
            parsed.append(chunk.failures)
            validated.append(validate(chunk.records, chunk.failures, USERS, Mode.INSERT_ONLY).failures)
        sinks = io.BytesIO(), io.BytesIO(), io.BytesIO()
        write_reports([parsed, validated], raw, USERS, self.upload.dialect, Reports(*sinks))
        self.messages = said(parsed + validated)
        self.errors_csv = sinks[0].getvalue()
        self.rejected = sinks[2].getvalue()
        self.rejected_name = "rejected" + rejected_suffix(self.upload.dialect)

    def again(self, encoding: str | None = None) -> "Checked":
        return Checked(self.rejected, self.rejected_name, encoding)


def said(failures: Sequence[pa.RecordBatch]) -> list[tuple[str, str, str]]:
    """Return the failures of cells and the number of malformed rows, without row numbers."""
    rows = [row for batch in failures for row in batch.to_pylist()]
    return sorted((row["column"] or "", row["code"], (row["column"] and row["value"]) or "") for row in rows)


def bad_sample(format: Format) -> Checked:
    out = io.BytesIO()
    Sample(USERS, 400, bad=Fraction(1, 4)).write(out, format)
    return Checked(out.getvalue(), f"users.{format}")


def test_a_sample_s_rejected_rows_are_rejected_again_for_the_same_reasons() -> None:
    first = bad_sample(Format.CSV)
    again = first.again()

    assert len(first.messages) > 50
    assert again.messages == first.messages
    assert again.upload.warnings == []
    assert again.again().rejected == again.rejected


def test_records_that_were_no_objects_have_nothing_but_their_text_when_they_come_back() -> None:
    first = bad_sample(Format.NDJSON)
    again = first.again()

    cells = [one for one in first.messages if one[1] != "malformed_row"]
    texts = len(first.messages) - len(cells)
    empty = [(column, "required", "") for column in ("id", "email", "name", "role")]
    assert texts > 5
    assert again.messages == sorted(cells + empty * texts)
    assert again.upload.warnings == ["columns that users does not have are ignored: _raw"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (f"{HEADER}{GOOD}1,a@b.co,Ann,admin\n", None),
        (f"{HEADER}{GOOD}1,a@b.co,Ann,admin\n".replace(",", "\t").replace("\n", "\r\n"), None),
        (f"{HEADER}{GOOD}1,a@b.co,'A;n',admin\n".replace(",", ";").replace("'", '"'), None),
        (f"{HEADER}{GOOD}1,a@b.co,Jürgen,admin\n", "cp1252"),
        (f"{HEADER}{GOOD}1,a@b.co,Jürgen,admin\n", "utf-16"),
    ],
)
def test_the_rejected_file_speaks_the_upload_s_dialect(content: str, encoding: str | None) -> None:
    first = Checked(
        content.encode(encoding or "utf-8"), "users.csv", encoding if encoding == "cp1252" else None
    )
    again = first.again("cp1252" if encoding == "cp1252" else None)

    assert [code for _, code, _ in first.messages] == ["bad_type"]
    assert again.messages == first.messages
    assert again.upload.dialect.delimiter == first.upload.dialect.delimiter
    assert again.upload.dialect.record_end == first.upload.dialect.record_end


def bad_sheet() -> Checked:
    header = [*HEADER.strip().split(",")]
    content = workbook([header, GOOD.strip().split(","), ["1", "a@b.co", 'J "ü", rgen', "admin"]])
    return Checked(content, "users.xlsx")


@pytest.mark.parametrize(
    ("delimiter", "line_end", "name"),
    [
        (",", "\n", "users.csv"),
        (";", "\r\n", "users.csv"),
        ("\t", "\r\n", "users.tsv"),
        ("|", "\n", "users.txt"),
    ],
)
def test_rejected_rows_of_a_file_with_a_byte_order_mark_have_one_and_are_read_again(
    delimiter: str, line_end: str, name: str
) -> None:
    text = f"{HEADER}{GOOD}1,a@b.co,Jürgen,admin\n".replace(",", delimiter).replace("\n", line_end)
    first = Checked(text.encode("utf-8-sig"), name)
    again = first.again()

    assert first.rejected.startswith(codecs.BOM_UTF8 + b"_row")
    assert again.rejected.startswith(codecs.BOM_UTF8 + b"_row")
    assert [code for _, code, _ in first.messages] == ["bad_type"]
    assert again.messages == first.messages
    assert again.upload.warnings == []
    assert again.upload.columns == ("id", "email", "name", "role")
    assert again.again().rejected == again.rejected


def test_rejected_rows_of_a_sheet_have_a_byte_order_mark_and_are_read_again() -> None:
    first = bad_sheet()
    again = first.again()

    assert first.rejected_name == "rejected.csv"
    assert first.rejected.startswith(codecs.BOM_UTF8 + b"_row,_line,_errors,id,email,name,role\n")
    assert 'J ""ü"", rgen' in first.rejected.decode()
    assert again.messages == first.messages
    assert again.upload.warnings == []


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_only_delimited_text_and_sheets_have_a_mark(mark: bytes) -> None:
    plain = Checked(f"{HEADER}{GOOD}1,a@b.co,Jürgen,admin\n".encode(), "users.csv")
    lines = Checked(mark + b'{"id":"1","email":"a@b.co","name":"J","role":"admin"}\n', "users.ndjson")
    array = Checked(mark + b'[{"id":"1","email":"a@b.co","name":"J","role":"admin"}]', "users.json")

    assert plain.rejected.startswith(b"_row")
    assert lines.rejected.startswith(b'{"_row"')
    assert array.rejected.startswith(b'{"_row"')


def test_errors_csv_never_has_a_mark() -> None:
    marked = f"{HEADER}1,a@b.co,Jürgen,admin\n".encode("utf-8-sig")
    assert Checked(marked, "users.csv").errors_csv.startswith(b"row,error,raw\n1,")
    assert bad_sheet().errors_csv.startswith(b"row,error,raw\n")


def test_a_row_that_was_fixed_is_good() -> None:
    broken = Checked((HEADER + GOOD.replace("admin", "boss")).encode(), "users.csv")

    fixed = Checked(broken.rejected.replace(b"boss\n", b"admin\n"), broken.rejected_name)

    assert fixed.messages == []
    assert fixed.upload.columns == ("id", "email", "name", "role")
