"""An .xlsx file costs no more than its bytes justify, whatever it claims and however its parts are shared."""

import io
import struct
import zipfile

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline_tests.unit.stages.parse.reading import Result, read
from bulk_pipeline_tests.unit.stages.parse.reading import opened as parsed
from bulk_pipeline_tests.unit.stages.parse.workbook import Raw, Tab, shared, workbook, workbook_of

HEADER = ["email", "city"]


def changed(part: str, before: str, after: str, book: bytes | None = None) -> bytes:
    """Return a workbook with other XML in a part."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book or workbook([HEADER, ["a@b.co", "Rome"]]))) as given,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for info in given.infolist():
            xml = given.read(info).decode()
            assert info.filename != part or before in xml
            archive.writestr(info.filename, xml.replace(before, after) if info.filename == part else xml)
    return out.getvalue()


def opened(data: bytes, limits: Limits = DEFAULT_LIMITS, table: str | None = "customers") -> Result:
    return read(data, "book.xlsx", table, limits=limits)


@pytest.mark.parametrize("table", ["customers", None])
def test_more_columns_and_longer_names_than_the_bounds_are_refused(table: str | None) -> None:
    with pytest.raises(FileError, match=r"has 3 columns, the limit is 2 \(BULK_MAX_COLUMNS\)"):
        opened(workbook([[*HEADER, "x"], ["a@b.co", "Rome", "y"]]), Limits(columns=2), table)
    with pytest.raises(FileError, match=r"has 21 bytes, the limit is 20 \(BULK_MAX_NAME_BYTES\)"):
        opened(workbook([[*HEADER, "x" * 21], ["a@b.co", "Rome", "y"]]), Limits(name_bytes=20), table)


def test_a_row_of_texts_that_are_too_long_together_is_rejected() -> None:
    text = "x" * 600
    rows = [HEADER, ["a@b.co", "Rome"], [shared(0), shared(0)], ["b@b.co", "Oslo"]]
    book = workbook_of(Tab("First", rows), strings=f"<si><t>{text}</t></si>")
    result = opened(book, Limits(row_bytes=1000))
    assert result.rows == {1: ("a@b.co", "Rome"), 3: ("b@b.co", "Oslo")}
    message = "is longer than a row may be, the limit is 1,000 (BULK_MAX_ROW_BYTES)"
    assert result.failures == [(2, 3, None, "too_long", message)]
    cell = opened(book, Limits(cell_bytes=500))
    message = "has 600 characters in email: of bytes, the limit is 500 (BULK_MAX_CELL_BYTES)"
    assert cell.failures == [(2, 3, None, "too_long", message)]


def test_the_beginning_of_an_oversize_row_is_kept() -> None:
    rows = [HEADER, [shared(0), shared(1)]]
    strings = f"<si><t>{'x' * 60_000}</t></si><si><t>{'y' * 60_000}</t></si>"
    result = opened(workbook_of(Tab("First", rows), strings=strings), Limits(row_bytes=100_000))
    kept = {"email": "x" * 60_000, "city": "y" * 5536}
    assert result.raw == {1: str(kept).replace("'", '"').replace(", ", ",").replace(": ", ":").encode()}


def test_rows_that_share_long_texts_come_in_small_chunks() -> None:
    rows = [HEADER, *[[shared(0), "Rome"]] * 100]
    data = workbook_of(Tab("First", rows), strings=f"<si><t>{'x' * 10_000}</t></si>")
    result = opened(data, Limits(batch_bytes=100_000))
    assert len(result.rows) == 100


def test_rows_far_wider_than_the_header_come_in_small_chunks() -> None:
    wide = "".join(f'<row r="{r}"><c r="NTP{r}"><v>1</v></c></row>' for r in range(3, 103))
    head = '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>'
    chunks = list(parsed(workbook_of(Tab("First", head + wide)), "book.xlsx"))
    assert sum(chunk.raw.num_rows for chunk in chunks) == 100
    assert max(chunk.raw.nbytes for chunk in chunks) < 10_000_000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (changed("xl/worksheets/sheet1.xml", "<sheetData>", f'<x y="{"z" * 3_000_000}"/><sheetData>'), "has a tag of more than 1,048,576 bytes"),
        (changed("xl/worksheets/sheet1.xml", "<sheetData>", f"<!--{'z' * 3_000_000}--><sheetData>"), "has a tag of more than 1,048,576 bytes"),
        (changed("xl/worksheets/sheet1.xml", "</sheetData>", "</sheetData>" + "".join(f"<x{n}/>" for n in range(11_000))), "has more than 10,000 names of elements"),
        (changed("xl/worksheets/sheet1.xml", "</sheetData>", "</sheetData>" + "<c>" * 40_000 + "</c>" * 40_000), "stand more than 1,000 deep in each other"),
        (changed("xl/styles.xml", "</cellXfs>", "</cellXfs>" + "<x>" * 2_000 + "</x>" * 2_000), "stand more than 1,000 deep in each other"),
        (changed("xl/sharedStrings.xml", "</sst>", "<x>" * 40_000 + "</x>" * 40_000 + "</sst>"), "stand more than 1,000 deep in each other"),
        (changed("xl/styles.xml", "</cellXfs>", '<xf numFmtId="0"/>' * 200_001 + "</cellXfs>"), "has more than 200,000 elements"),
        (workbook([HEADER, ["a@b.co", Raw("", "<v>1</v>", "0" * 1001)]]), "a number format has 1,001 characters"),
        (changed("xl/worksheets/sheet1.xml", "<t xml:space", "<r><t>ab</t></r>" * 150_000 + "<t xml:space"), "a text has more than 100,000 pieces"),
        (changed("xl/sharedStrings.xml", "</sst>", "<si>" + "<r><t>ab</t></r>" * 150_000 + "</si></sst>"), "a text has more than 100,000 pieces"),
    ],
)  # fmt: skip
def test_a_workbook_that_no_spreadsheet_program_writes_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(FileError, match=problem) as caught:
        opened(data)
    assert caught.value.code == "too_large"


def test_shared_texts_that_take_too_much_memory_are_refused() -> None:
    texts = "<si><t>_x0000_</t></si>" * 500_001
    with pytest.raises(
        FileError, match=r"the texts of the \.xlsx file take more than 250,000,000 bytes of memory"
    ):
        opened(workbook_of(Tab("First", [HEADER, ["a@b.co", "Rome"]]), strings=texts))


def test_empty_shared_texts_take_next_to_nothing() -> None:
    book = workbook_of(Tab("First", [HEADER, ["a@b.co", shared(0)]]), strings="<si><t/></si>" * 500_001)
    assert opened(book).rows == {1: ("a@b.co", None)}


def test_two_sheets_of_one_part_are_refused() -> None:
    sheets = '<sheets><sheet name="Second" sheetId="2" r:id="rId1"/>'
    with pytest.raises(FileError, match="damaged: two of its sheets are the same part"):
        opened(changed("xl/workbook.xml", "<sheets>", sheets))


def test_a_directory_of_endless_names_is_refused_before_it_is_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(200):
            archive.writestr(f"{number:0>60000}", b"")
    assert struct.unpack("<I", out.getvalue()[-10:-6])[0] > 8 << 20
    with pytest.raises(
        FileError, match="its directory has 12,009,200 bytes, which is more than 8,388,608"
    ) as caught:
        opened(out.getvalue())
    assert caught.value.code == "too_large"


def test_a_style_of_a_long_format_is_read_in_linear_time() -> None:
    rows = [HEADER, *[["a@b.co", Raw("", "<v>1</v>", "[" * 1000)]] * 3]
    assert opened(workbook(rows)).column("city") == ["1", "1", "1"]
