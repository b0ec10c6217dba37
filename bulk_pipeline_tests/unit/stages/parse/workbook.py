"""Creates small .xlsx files, as bytes, from the XML of their parts."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

_TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>
<Override PartName="/xl/styles.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>"""
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELS = f"""<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}">
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>"""
_STYLES = f"""<?xml version="1.0"?><styleSheet xmlns="{_MAIN}">%s<cellXfs><xf numFmtId="0"/>
<xf numFmtId="14"/><xf numFmtId="22"/>%s</cellXfs></styleSheet>"""


@dataclass(frozen=True)
class Raw:
    """A cell as XML; `format_` is its own number format, if any."""

    attributes: str = ""
    inner: str = ""
    format_: str | None = None


Value = str | float | bool | date | datetime | Raw | None


@dataclass(frozen=True)
class Tab:
    """One sheet of a kind: worksheet, chartsheet or dialogsheet. `rows` may be the XML of the rows."""

    name: str
    rows: Sequence[Sequence[Value]] | str = ()
    state: str | None = None
    kind: str = "worksheet"


def failed(error: str) -> Raw:
    """Return a cell whose formula failed."""
    return Raw('t="e"', f"<f>A1</f><v>{error}</v>")


def shared(number: int) -> Raw:
    return Raw('t="s"', f"<v>{number}</v>")


def workbook(rows: Sequence[Sequence[Value]]) -> bytes:
    """Return a workbook of one sheet with the name First."""
    return workbook_of(Tab("First", rows))


def workbook_of(*tabs: Tab, strings: str = "", settings: str = "", main: str = _MAIN) -> bytes:
    """Return a workbook of sheets, with the XML of its shared `strings`, and `settings` as attributes of its `workbookPr`."""
    formats = _formats(tabs)
    names = "".join(
        f'<sheet name="{_escaped(tab.name)}" sheetId="{i}" {f"state={tab.state!r} " if tab.state else ""}r:id="rId{i}"/>'
        for i, tab in enumerate(tabs, 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{i}" Type="{_OFFICE}/{tab.kind}" Target="worksheets/sheet{i}.xml"/>'
        for i, tab in enumerate(tabs, 1)
    )
    declared = "".join(f'<numFmt numFmtId="{i}" formatCode="{_escaped(f)}"/>' for f, i in formats.items())
    styles = "".join(f'<xf numFmtId="{i}"/>' for i in formats.values())
    head = f'<?xml version="1.0"?><workbook xmlns="{main}" xmlns:r="{_OFFICE}"><workbookPr {settings}/>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        archive.writestr("_rels/.rels", _RELS)
        archive.writestr("xl/workbook.xml", f"{head}<sheets>{names}</sheets></workbook>")
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f"""<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}">{relations}
<Relationship Id="rId0" Type="{_OFFICE}/styles" Target="styles.xml"/>
<Relationship Id="rIdS" Type="{_OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>""",
        )
        numbers = f"<numFmts>{declared}</numFmts>" if declared else ""
        archive.writestr("xl/styles.xml", (_STYLES % (numbers, styles)).replace(_MAIN, main))
        archive.writestr("xl/sharedStrings.xml", f'<?xml version="1.0"?><sst xmlns="{main}">{strings}</sst>')
        for i, tab in enumerate(tabs, 1):
            archive.writestr(f"xl/worksheets/sheet{i}.xml", _sheet(tab, formats, main))
    return out.getvalue()


def _formats(tabs: Sequence[Tab]) -> dict[str, int]:
    """Return numbers for the number formats of cells; their styles follow the three styles of all workbooks."""
    cells = (cell for tab in tabs if not isinstance(tab.rows, str) for row in tab.rows for cell in row)
    result = dict.fromkeys(cell.format_ for cell in cells if isinstance(cell, Raw) and cell.format_)
    return {format_: 164 + i for i, format_ in enumerate(result)}


def _sheet(tab: Tab, formats: dict[str, int], main: str) -> str:
    body = tab.rows if isinstance(tab.rows, str) else _rows(tab.rows, formats)
    root = "worksheet" if tab.kind == "worksheet" else tab.kind
    return f'<?xml version="1.0"?><{root} xmlns="{main}"><sheetData>{body}</sheetData></{root}>'


def _rows(rows: Sequence[Sequence[Value]], formats: dict[str, int]) -> str:
    return "".join(
        f'<row r="{r}">{"".join(_cell(value, r, c, formats) for c, value in enumerate(row))}</row>'
        for r, row in enumerate(rows, 1)
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _cell(value: Value, row: int, column: int, formats: dict[str, int]) -> str:
    at = f"{chr(65 + column)}{row}"
    if value is None:
        return ""
    if isinstance(value, Raw):
        style = f's="{formats[value.format_] - 161}" ' if value.format_ else ""
        return f'<c r="{at}" {style}{value.attributes}>{value.inner}</c>'
    if isinstance(value, bool):
        return f'<c r="{at}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime):
        days = (value - datetime(1899, 12, 30)).total_seconds() / 86400
        return f'<c r="{at}" s="2"><v>{days!r}</v></c>'
    if isinstance(value, date):
        return f'<c r="{at}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, float | int):
        return f'<c r="{at}"><v>{value}</v></c>'
    return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{_escaped(value)}</t></is></c>'
