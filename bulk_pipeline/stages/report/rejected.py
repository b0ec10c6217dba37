"""The rejected rows, verbatim in the upload's own dialect, to be fixed and dropped again.

The three columns `_row,_line,_errors` stand FIRST: a quote that is never closed would swallow what comes
after it, and a row with three cells too few would even become right by them. CSV stays CSV (a sheet
becomes CSV); JSON arrays and Parquet become NDJSON. A file of rejected rows that is dropped again and
rejected again gets new values in these columns, not six of them. The text is UTF-8, with a byte order mark
if the upload's was not, because a mark wins over the encoding that may be declared for the upload's name; CSV also if
the upload had one or was a sheet, because Excel reads it in the machine's code page without.
"""

import codecs
import re
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.masks import mask
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.texts import doubled, joined, json_parts

COLUMNS = ("_row", "_line", "_errors")
_RECORD_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
_OLD_KEYS = (
    r'\A\s*\{\s*"_row"\s*:\s*\d+\s*,\s*"_line"\s*:\s*(?:\d+|null)\s*,'
    r'\s*"_errors"\s*:\s*"(?:[^"\\]|\\.)*"\s*,?'
)
_ANY_OLD_KEY = r'"_(?:row|line|errors)"\s*:'


def rejected_suffix(dialect: Dialect) -> str:
    """How the name of the file ends: .csv, .tsv or .ndjson."""
    if dialect.format == "csv" and dialect.delimiter == "\t":
        return ".tsv"
    return ".csv" if dialect.format in ("csv", "xlsx") else ".ndjson"


def rejected_start(dialect: Dialect) -> bytes:
    """What comes before the first row: a byte order mark if one is needed, and the header if there is one."""
    is_marked = dialect.byte_order_mark or dialect.format == "xlsx"
    dialect = _written(dialect)
    mark = codecs.BOM_UTF8 if dialect.encoding not in (None, "utf-8") else b""
    if rejected_suffix(dialect) == ".ndjson":
        return mark
    names = [*COLUMNS, *(name for name in dialect.header if name not in COLUMNS)]
    header = _delimiter(dialect).join(_cell(name, dialect) for name in names)
    if is_marked:
        mark = codecs.BOM_UTF8
    return mark + (header + _record_end(dialect)).encode()


def rejected_lines(
    rows: pa.RecordBatch, errors: pa.Array, told: pa.RecordBatch, dialect: Dialect, file: Sink
) -> None:
    """Write `rows` (`_row`, `_line`, `raw`) with their `errors` (sentences); `told` are their failures."""
    if rejected_suffix(dialect) == ".ndjson":
        malformed = told.filter(pc.equal(told["code"], Code.MALFORMED_ROW.value))["row"]
        _ndjson(rows, errors, mask(pc.is_in(rows["_row"], malformed)), file)
        return
    if dialect.format == "xlsx":
        rows = rows.set_column(2, "raw", _as_csv(rows["raw"], dialect))
    _csv(rows, errors, _written(dialect), file)


def _written(dialect: Dialect) -> Dialect:
    """A sheet has no dialect of its own."""
    return replace(dialect, delimiter=",", quote='"') if dialect.format == "xlsx" else dialect


def _csv(rows: pa.RecordBatch, errors: pa.Array, dialect: Dialect, file: Sink) -> None:
    row, line = rows["_row"].cast(pa.string()), rows["_line"].cast(pa.string())
    raw = rows["raw"]
    if dialect.header[: len(COLUMNS)] == COLUMNS:
        raw = _without_old_cells(raw, dialect)
    then = _delimiter(dialect).encode()
    end = _record_end(dialect).encode()
    file.write(joined([row, then, line, then, *_quoted(errors, dialect), then, raw, end]))


def _without_old_cells(raw: pa.Array, dialect: Dialect) -> pa.Array:
    """Without the three cells of an earlier rejection, which stand first."""
    delimiter, quote = re.escape(_delimiter(dialect)), re.escape(dialect.quote or '"')
    cell = rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}\n]*?){delimiter}"
    return pc.replace_substring_regex(raw, rf"\A(?:{cell}){{3}}", "", max_replacements=1)


def _quoted(cells: pa.Array, dialect: Dialect) -> list[pa.Array | bytes]:
    """The parts of a cell. Where there are no quotes, a delimiter becomes a space."""
    if dialect.quote is None:
        return [pc.replace_substring(cells, _delimiter(dialect), " ")]
    mark = dialect.quote.encode()
    return [mark, doubled(cells, dialect.quote, dialect.escape), mark]


def _cell(name: str, dialect: Dialect) -> str:
    special = {_delimiter(dialect), dialect.quote, dialect.escape, "\n", "\r"} - {None}
    if name == name.strip() and not any(character in name for character in special if character):
        return name
    return bytes(joined(_quoted(pa.array([name], pa.large_string()), dialect))).decode()


def _as_csv(raw: pa.Array, dialect: Dialect) -> pa.Array:
    """Objects of a sheet as CSV records: NULL is an empty cell, an empty text a quoted one. Cells beyond the header
    stay where they were, so that a row which is too wide is so again."""
    names = [name for name in dialect.header if name not in COLUMNS]
    records = []
    for cells in map(orjson.loads, raw.to_pylist()):
        beyond = [name for name in cells if name not in dialect.header]
        records.append(",".join(_sheet_cell(cells.get(name)) for name in [*names, *beyond]).encode())
    return pa.array(records, pa.binary())


def _sheet_cell(value: Any) -> str:  # whatever JSON can hold
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if text == "" or text != text.strip() or any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _ndjson(rows: pa.RecordBatch, errors: pa.Array, malformed: np.ndarray, file: Sink) -> None:
    """Our keys go in after the opening brace. What is no object is kept under `_raw`, so that every line is
    JSON (save for bytes that are not UTF-8, which stay as they are)."""
    rest = _after_brace(rows["raw"], malformed)
    line = pc.fill_null(rows["_line"].cast(pa.string()), "null")
    parts = [b'{"_row":', rows["_row"].cast(pa.string()), b',"_line":', line, b',"_errors":']
    file.write(joined([*parts, *json_parts(errors), rest, b"\n"]))


def _after_brace(raw: pa.Array, malformed: np.ndarray) -> pa.Array:
    """Each object without its opening brace, and with a comma if anything but the closing one follows."""
    rest = pc.replace_substring_regex(raw, _OLD_KEYS, "{", max_replacements=1)
    rest = pc.replace_substring_regex(rest, r"\A\s*\{\s*", ",", max_replacements=1)
    rest = pc.replace_substring_regex(rest, r"\A,\}", "}", max_replacements=1)
    odd = malformed | ~mask(pc.match_substring_regex(raw, r"\A\s*\{"))
    odd |= mask(pc.match_substring_regex(rest, _ANY_OLD_KEY))
    rewritten = [_rewritten(record) for record in raw.filter(pa.array(odd)).to_pylist()]
    odd[odd] = [record is not None for record in rewritten]
    replacements = pa.array([record for record in rewritten if record is not None], raw.type)
    return pc.replace_with_mask(rest, pa.array(odd), replacements)


def _rewritten(record: bytes) -> bytes | None:
    """What follows our keys, made anew; None if the record can stay as it is."""
    try:
        cells = orjson.loads(record)
    except orjson.JSONDecodeError:
        cells = None
    if not isinstance(cells, dict):
        return b',"_raw":' + orjson.dumps(record.decode("utf-8", "replace")) + b"}"
    if not cells.keys() & set(COLUMNS):
        return None
    kept = orjson.dumps({name: value for name, value in cells.items() if name not in COLUMNS})
    return b"," + kept[1:] if len(kept) > len(b"{}") else b"}"


def _delimiter(dialect: Dialect) -> str:
    return dialect.delimiter or ","


def _record_end(dialect: Dialect) -> str:
    return _RECORD_ENDS.get(dialect.record_end or "", "\n")
