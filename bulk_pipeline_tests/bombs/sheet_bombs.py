"""Hostile .xlsx files."""

import io
import struct
import zipfile
from collections.abc import Callable

from bulk_pipeline_tests.bombs.bomb import Bomb
from bulk_pipeline_tests.unit.stages.parse.workbook import Tab, workbook, workbook_of

_HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c><c r="B1" t="inlineStr"><is><t>city</t></is></c></row>'
_GOOD = '<row r="2"><c r="A2" t="inlineStr"><is><t>a@b.co</t></is></c></row>'


def _sheet(rows: str, strings: str = "") -> bytes:
    return workbook_of(Tab("First", f"{_HEADER}{_GOOD}{rows}"), strings=strings)


def _shared(cells: int, text: str, columns: str = "AB") -> bytes:
    """Return a workbook whose cells all refer to one text."""
    rows = "".join(
        f'<row r="{r}">' + "".join(f'<c r="{c}{r}" t="s"><v>0</v></c>' for c in columns) + "</row>"
        for r in range(3, 3 + cells // len(columns))
    )
    return _sheet(rows, f"<si><t>{text}</t></si>")


def _header(name: str, rows: int) -> bytes:
    head = f'<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c><c r="B1" t="inlineStr"><is><t>{name}</t></is></c></row>'
    body = "".join(f'<row r="{r}"><c r="A{r}"><v>1</v></c></row>' for r in range(2, rows + 2))
    return workbook_of(Tab("First", head + body))


def _changed(change: Callable[[zipfile.ZipInfo, bytes], bytes], book: bytes | None = None) -> bytes:
    """Return a workbook with changed parts."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book or workbook([["email", "city"], ["a@b.co", "Rome"]]))) as given,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for info in given.infolist():
            archive.writestr(info.filename, change(info, given.read(info)))
    return out.getvalue()


def _in(part: str, change: Callable[[bytes], bytes]) -> bytes:
    return _changed(lambda info, xml: change(xml) if info.filename == part else xml)


_ENTITIES = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)


def _entities() -> bytes:
    def change(xml: bytes) -> bytes:
        return xml.replace(b"<worksheet", _ENTITIES + b"<worksheet").replace(b"Rome", b"&j;")

    return _in("xl/worksheets/sheet1.xml", change)


def _styles() -> bytes:
    return _in(
        "xl/styles.xml",
        lambda xml: xml.replace(b"</cellXfs>", b'<xf numFmtId="0"/>' * 4_000_000 + b"</cellXfs>"),
    )


def _formats() -> bytes:
    formats = b"".join(
        b'<numFmt numFmtId="%d" formatCode="%s"/>' % (n, b"0" * 200) for n in range(164, 300_000)
    )
    styles = b"".join(b'<xf numFmtId="%d"/>' % n for n in range(164, 300_000))
    return _in(
        "xl/styles.xml",
        lambda xml: xml.replace(b"<cellXfs>", b"<numFmts>" + formats + b"</numFmts><cellXfs>").replace(
            b"</cellXfs>", styles + b"</cellXfs>"
        ),
    )


def _long_format() -> bytes:
    code = b"0" * 1_000_000
    declared = (
        b'<numFmts><numFmt numFmtId="999" formatCode="' + code + b'"/></numFmts><cellXfs><xf numFmtId="999"/>'
    )
    body = "".join(f'<row r="{r}"><c r="A{r}" s="0"><v>1</v></c></row>' for r in range(3, 5_000))
    return _changed(
        lambda info, xml: xml.replace(b"<cellXfs>", declared) if info.filename == "xl/styles.xml" else xml,
        _sheet(body),
    )


def _sheets() -> bytes:
    return workbook_of(*[Tab(f"S{n}", [["x", "y"]]) for n in range(20_000)])


def _same_sheet() -> bytes:
    """Return ten thousand sheets that share one part with a million cells."""
    sheets = b"".join(b'<sheet name="S%d" sheetId="%d" r:id="rId1"/>' % (n, n) for n in range(10_000))
    cells = "".join(f'<row r="{r}"><c r="A{r}"><v>1</v></c></row>' for r in range(3, 500_000))
    return _changed(
        lambda info, xml: (
            xml.replace(b"<sheets>", b"<sheets>" + sheets) if info.filename == "xl/workbook.xml" else xml
        ),
        _sheet(cells),
    )


def _text_runs() -> bytes:
    return _sheet(
        '<row r="3"><c r="A3" t="s"><v>0</v></c></row>', "<si>" + "<r><t>x</t></r>" * 3_000_000 + "</si>"
    )


def _texts() -> bytes:
    return _sheet('<row r="3"><c r="A3" t="s"><v>0</v></c></row>', "<si><t/></si>" * 5_000_000)


def _merged() -> bytes:
    return _in(
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(
            b"</sheetData>",
            b"</sheetData><mergeCells>" + b'<mergeCell ref="A1:XFD9"/>' * 2_000_000 + b"</mergeCells>",
        ),
    )


def _overlapping() -> bytes:
    """Return a zip with five hundred members that share one part of 99 MB."""
    data = bytearray(_in("xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"Rome", b"x" * (90 << 20))))
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    at = data.rindex(b"PK\x01\x02")
    entry = bytes(data[at:end])
    count = struct.unpack("<H", data[end + 8 : end + 10])[0] + 500
    directory = bytes(data[start:end]) + entry * 500
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = struct.pack("<H", count)
    tail[12:16] = struct.pack("<I", len(directory))
    return bytes(data[:start]) + directory + bytes(tail)


def _lying_sizes() -> bytes:
    """Return a workbook whose directory claims ten bytes for each part."""
    data = bytearray(_shared(2, "x" * (300 << 20)))
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 24 : at + 28] = struct.pack("<I", 10)
        at += 4
    return bytes(data)


def _columns(last: str = "NTP") -> bytes:
    """Return rows of ten thousand cells, of which only the last has a value."""
    return _sheet("".join(f'<row r="{r}"><c r="{last}{r}"><v>1</v></c></row>' for r in range(3, 390)))


BOMBS = [
    Bomb("a text of 60 kB in 8190 cells", ".xlsx", lambda: _shared(8190, "x" * 60_000)),
    Bomb("a text of 60 kB in two columns", ".xlsx", lambda: _shared(60_000, "x" * 60_000)),
    Bomb("a text of 90 MB in 100 cells", ".xlsx", lambda: _shared(100, "x" * (90 << 20))),
    Bomb("a column name of 60 kB", ".xlsx", lambda: _header("x" * 60_000, 8190)),
    Bomb("a column name of 60 kB, a million rows", ".xlsx", lambda: _header("x" * 60_000, 1_000_000)),
    Bomb(
        "a row that says it is the last",
        ".xlsx",
        lambda: _sheet('<row x=">" r="1048576"><c><v>1</v></c></row>'),
    ),
    Bomb(
        "a cell in the last place",
        ".xlsx",
        lambda: _sheet('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
    ),
    Bomb("a cell in the last column of each row", ".xlsx", _columns),
    Bomb("a cell in the last column of all", ".xlsx", lambda: _columns("XFD")),
    Bomb("entities of entities", ".xlsx", _entities),
    Bomb("four million styles", ".xlsx", _styles),
    Bomb("300,000 number formats", ".xlsx", _formats),
    Bomb("a number format of 1 MB", ".xlsx", _long_format),
    Bomb("20,000 sheets", ".xlsx", _sheets),
    Bomb("one sheet ten thousand times", ".xlsx", _same_sheet),
    Bomb("two million merged cells", ".xlsx", _merged),
    Bomb("five million empty shared texts", ".xlsx", _texts),
    Bomb("a shared text of three million runs", ".xlsx", _text_runs),
    Bomb(
        "cells of 12 MB",
        ".xlsx",
        lambda: _sheet(
            "".join(
                f'<row r="{r}"><c r="A{r}" t="inlineStr"><is><t>{"x" * (12 << 20)}</t></is></c></row>'
                for r in range(3, 10)
            )
        ),
    ),
    Bomb(
        "a cell of three million runs",
        ".xlsx",
        lambda: _sheet(
            '<row r="3"><c r="A3" t="inlineStr"><is>' + "<r><t>x</t></r>" * 3_000_000 + "</is></c></row>"
        ),
    ),
    Bomb(
        "a number of 90 million digits",
        ".xlsx",
        lambda: _sheet(f'<row r="3"><c r="A3"><v>{"9" * 90_000_000}</v></c></row>'),
    ),
    Bomb(
        "a dimension that lies",
        ".xlsx",
        lambda: _in(
            "xl/worksheets/sheet1.xml",
            lambda xml: xml.replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>'),
        ),
    ),
    Bomb(
        "an attribute of 90 MB",
        ".xlsx",
        lambda: _sheet(f'<row r="3" x="{"x" * (90 << 20)}"><c r="A3"><v>1</v></c></row>'),
    ),
    Bomb(
        "a million attributes",
        ".xlsx",
        lambda: _sheet(
            '<row r="3" ' + " ".join(f'x{n}=""' for n in range(1_000_000)) + '><c r="A3"><v>1</v></c></row>'
        ),
    ),
    Bomb("elements nested a million deep", ".xlsx", lambda: _sheet("<x>" * 3_000_000 + "</x>" * 3_000_000)),
    Bomb("other names of elements", ".xlsx", lambda: _sheet("".join(f"<x{n}/>" for n in range(3_000_000)))),
    Bomb("parts that share their bytes", ".xlsx", _overlapping),
    Bomb("a directory that says 10 bytes", ".xlsx", _lying_sizes),
    Bomb(
        "errors in every cell",
        ".xlsx",
        lambda: _sheet(
            "".join(
                f'<row r="{r}">' + "".join(f'<c r="{c}{r}" t="e"><v>#N/A</v></c>' for c in "AB") + "</row>"
                for r in range(3, 400_000)
            )
        ),
    ),
    Bomb("empty rows", ".xlsx", lambda: _sheet("<row/>" * 8_000_000)),
]
