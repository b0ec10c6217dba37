"""rejected.xlsx: what is in it, that it can be corrected and imported again, and what it leaves out."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline

CSV = (
    "email,first_name,phone,created_at\n"
    'nobody,"Jürgen, Dr.",0049171,2026-01-31\n'
    "fine@x.co,Eve,1,\n"
    "noone,=1+1,12345678901234567890,yesterday\n"
).encode()
Book = Any  # openpyxl has no types


def rejected(pipeline: Pipeline, content: bytes = CSV, name: str = "march.csv", **metadata: str) -> ImportJob:
    return pipeline.load(f"customers/{name}", content, **metadata)


def book_of(pipeline: Pipeline, job: ImportJob) -> Book:
    return openpyxl.load_workbook(io.BytesIO(pipeline.report(job, "rejected.xlsx")))


def rows_of(book: Book) -> list[tuple[object, ...]]:
    return list(book["rejected rows"].iter_rows(values_only=True))


def saved(book: Book) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def corrected(book: Book) -> Book:
    sheet = book["rejected rows"]
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, 5).value = f"{sheet.cell(row, 5).value}@x.co"
        if sheet.cell(row, 8).value == "yesterday":
            sheet.cell(row, 8).value = "2026-02-28"
    return book


def in_table(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.query(
        "SELECT email, first_name, phone FROM customers WHERE email <> 'fine@x.co' ORDER BY email"
    )


def test_all_cells_are_texts_and_the_wrong_ones_are_red_with_a_note(pipeline: Pipeline) -> None:
    job = rejected(pipeline)
    book = book_of(pipeline, job)
    header, first, second = rows_of(book)

    assert set(job.reports) == {"errors.csv", "errors.ndjson", "rejected.csv", "rejected.xlsx"}
    assert book.sheetnames == ["what to do", "rejected rows"]
    assert header == ("_row", "_line", "_errors", "_origin", "email", "first_name", "phone", "created_at")
    assert (first[:2], first[4:]) == (("1", "2"), ("nobody", "Jürgen, Dr.", "0049171", "2026-01-31"))
    assert second[4:] == ("noone", "=1+1", "12345678901234567890", "yesterday")
    sheet = book["rejected rows"]
    assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row} == {"s"}
    assert {cell.number_format for row in sheet.iter_rows() for cell in row} == {"@"}
    notes = {cell.coordinate: cell.comment.text for row in sheet.iter_rows() for cell in row if cell.comment}
    assert notes.keys() == {"E2", "E3", "H3"}
    assert notes["E2"] == "email 'nobody' is not an address like local@domain.tld"
    assert {sheet[place].fill.start_color.rgb for place in notes} == {"FFFFC7CE"}
    assert sheet["F2"].fill.start_color.rgb != "FFFFC7CE"


def test_the_first_sheet_says_what_to_do(pipeline: Pipeline) -> None:
    lines = [
        row[0] for row in book_of(pipeline, rejected(pipeline))["what to do"].iter_rows(values_only=True)
    ]

    assert lines[0] == "2 rows were not imported into customers."
    assert lines[2].startswith("1. Open the sheet 'rejected rows'.")
    assert len(lines) == 7


def test_a_corrected_workbook_fixes_the_rows_and_changes_no_value(pipeline: Pipeline) -> None:
    parent = rejected(pipeline)

    job = pipeline.load("customers/any.xlsx", saved(corrected(book_of(pipeline, parent))))

    assert (job.status, job.error, job.parents) == (Status.COMPLETED, None, {parent.id: 2})
    assert in_table(pipeline) == [
        ("nobody@x.co", "Jürgen, Dr.", "0049171"),
        ("noone@x.co", "=1+1", "12345678901234567890"),
    ]
    assert (pipeline.counts(parent).fixed, pipeline.counts(parent).open) == (2, 0)
    assert job.warnings == ["only the sheet 'rejected rows' was imported: there is more in 'what to do'"]


def test_a_workbook_that_is_rejected_again_gets_another_workbook(pipeline: Pipeline) -> None:
    parent = rejected(pipeline)
    first = pipeline.load("customers/first.xlsx", pipeline.report(parent, "rejected.xlsx"))
    assert (first.status, pipeline.counts(first).rejected_again) == (Status.FAILED, 2)

    book = book_of(pipeline, first)
    assert [row[3:] for row in rows_of(book)] == [row[3:] for row in rows_of(book_of(pipeline, parent))]

    pipeline.load("customers/second.xlsx", saved(corrected(book)))
    assert (pipeline.counts(parent).fixed, pipeline.counts(parent).open) == (2, 0)


@pytest.mark.parametrize(
    "habit",
    [
        pytest.param(lambda sheet: sheet.append([None] * 8), id="an empty row"),
        pytest.param(lambda sheet: sheet.cell(9, 1, " "), id="a blank cell below"),
        pytest.param(lambda sheet: sheet.delete_cols(1, 3), id="without the first columns"),
        pytest.param(lambda sheet: sheet.insert_rows(1, 2), id="empty rows above"),
    ],
)
def test_what_people_do_to_a_sheet_does_no_harm(pipeline: Pipeline, habit: Callable[[Any], None]) -> None:
    parent = rejected(pipeline)
    book = corrected(book_of(pipeline, parent))
    habit(book["rejected rows"])

    job = pipeline.load("customers/fix.xlsx", saved(book))

    assert (job.status, job.error, pipeline.counts(parent).open) == (Status.COMPLETED, None, 0)


def test_numbers_and_dates_that_are_typed_in_are_read_as_such(pipeline: Pipeline) -> None:
    parent = rejected(pipeline)
    book = corrected(book_of(pipeline, parent))
    book["rejected rows"]["G2"] = 49171
    book["rejected rows"]["G2"].number_format = "General"
    book["rejected rows"]["G3"] = 12345678901234567890
    book["rejected rows"]["G3"].number_format = "General"

    job = pipeline.load("customers/fix.xlsx", saved(book))

    assert (job.failure_counts, in_table(pipeline)) == (
        {"spreadsheet_damage": 1},
        [("nobody@x.co", "Jürgen, Dr.", "49171")],
    )
    assert pipeline.counts(parent).open == 1


@pytest.mark.parametrize(
    ("cell", "is_held"),
    [
        ("x" * 32_768, False),
        ('""', False),
        ('" x"', False),
        ("a\x01b", False),
        ("=HYPERLINK(1)", True),
        ("_x0041_", True),
        ("'x", True),
        ('"a\nb"', True),
        ("@SUM(1)", True),
    ],
)
def test_rows_that_a_sheet_cannot_hold_are_left_out(pipeline: Pipeline, cell: str, is_held: bool) -> None:
    content = f"email,last_name,notes\nnobody,Lee,{cell}\nnoone,Ann,fine\n".encode()
    job = rejected(pipeline, content)
    book = book_of(pipeline, job)

    assert len(rows_of(book)) == 2 + is_held
    lines = [row[0] for row in book["what to do"].iter_rows(values_only=True)]
    left_out = "1 row was left out, since a sheet cannot hold every cell as it is: see the other file of rejected rows."
    assert (left_out in lines) is not is_held
    if is_held:
        assert rows_of(book)[1][-1] == cell.strip('"')


@pytest.mark.parametrize(
    ("content", "name", "metadata"),
    [
        pytest.param(b'email,city\nnobody,"Rome\nnoone,a,b\n', "a.csv", {}, id="malformed rows only"),
        pytest.param(b'{"email":"nobody"}\n', "a.ndjson", {}, id="objects"),
        pytest.param(b"email\n" + b"nobody\n" * 2_001, "a.csv", {}, id="too many rows"),
        pytest.param(b"email\nfine@x.co\n", "a.csv", {}, id="nothing rejected"),
    ],
)
def test_there_is_no_workbook(
    pipeline: Pipeline, content: bytes, name: str, metadata: dict[str, str]
) -> None:
    assert "rejected.xlsx" not in rejected(pipeline, content, name, **metadata).reports


def test_a_workbook_is_fetched_by_the_command(pipeline: Pipeline, command: Command, tmp_path: Any) -> None:
    job = rejected(pipeline)
    out = tmp_path / "fix.xlsx"

    assert command("errors", job.id, "--format", "xlsx", "-o", str(out)).returncode == 0
    assert out.read_bytes() == pipeline.report(job, "rejected.xlsx")
    assert (
        command("errors", job.id, "--format", "rejected").stdout
        == pipeline.report(job, "rejected.csv").decode()
    )


def test_a_workbook_does_not_depend_on_the_time(pipeline: Pipeline) -> None:
    job = rejected(pipeline)
    before = pipeline.report(job, "rejected.xlsx")
    again = pipeline.load("customers/again.xlsx", before)

    assert rows_of(book_of(pipeline, again))[1][4:] == rows_of(book_of(pipeline, job))[1][4:]
    assert b"2000-01-01T00:00:00Z" in unzipped(before)["docProps/core.xml"]


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
