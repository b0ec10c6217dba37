"""Writes the rejected rows verbatim in the upload's own dialect, to be corrected and uploaded again.

The columns `_row,_line,_errors,_origin` come first: a quote that is never closed would swallow later columns, and a row
with four cells too few would even become valid with them. CSV stays CSV, a sheet becomes CSV, JSON arrays and Parquet
become NDJSON. If a file of rejected rows is rejected again, these columns get new values, but for the origins that rows
keep (`stages.origins`). The text is UTF-8. It has a byte order mark if the upload had another encoding, since a mark
takes precedence over an encoding declared for the upload's name. CSV also has one if the upload had one or was a sheet,
since Excel would otherwise use a code page.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.arrow.text import doubled, joined, json_parts
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.formats import FORMATS
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.report_names import ADDED_COLUMNS
from bulk_pipeline.stages.sink import Sink

_WITHOUT_ORIGIN = ADDED_COLUMNS[:-1]
"""The columns of reports of files that were only checked, and of older versions."""
_RECORD_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
_OLD_KEYS = (
    r'\A\s*\{\s*"_row"\s*:\s*\d+\s*,\s*"_line"\s*:\s*(?:\d+|null)\s*,'
    r'\s*"_errors"\s*:\s*"(?:[^"\\]|\\.)*"\s*,?(?:\s*"_origin"\s*:\s*"[^"\\]*"\s*,?)?'
)
_ANY_OLD_KEY = r'"_(?:row|line|errors|origin)"\s*:'

OriginsOf = Callable[[pa.Array], Sequence[pa.Array | bytes]]
"""Returns the origins of rows, by their numbers: parts of texts, as for `joined`."""


def rejected_suffix(dialect: Dialect) -> str:
    """Return the suffix of the file's name: .csv, .tsv or .ndjson."""
    format_ = FORMATS[dialect.format]
    is_tabbed = format_.delimiter is not None and dialect.delimiter == FORMATS["tsv"].delimiter
    return FORMATS["tsv" if is_tabbed else format_.rejected_as].suffixes[0]


def rejected_start(dialect: Dialect, *, has_origins: bool) -> bytes:
    """Return the bytes before the first row: a byte order mark if needed, and the header if there is one."""
    is_marked = dialect.byte_order_mark or _becomes_csv(dialect)
    dialect = _output_dialect(dialect)
    mark = codecs.BOM_UTF8 if dialect.encoding not in (None, "utf-8") else b""
    if rejected_suffix(dialect) == ".ndjson":
        return mark
    added = ADDED_COLUMNS if has_origins else _WITHOUT_ORIGIN
    names = [*added, *_own_names(dialect)]
    header = _delimiter(dialect).join(_cell(name, dialect) for name in names)
    if is_marked:
        mark = codecs.BOM_UTF8
    return mark + (header + _record_end(dialect)).encode()


def rejected_lines(
    rows: pa.RecordBatch,
    errors: pa.Array,
    failures: pa.RecordBatch,
    dialect: Dialect,
    file: Sink,
    origins_of: OriginsOf | None = None,
) -> None:
    """Write `rows` (`_row`, `_line`, `raw`) with their `errors` (sentences); `failures` are their failures."""
    origins = None if origins_of is None else origins_of(rows["_row"])
    if rejected_suffix(dialect) == ".ndjson":
        _ndjson(rows, errors, origins, mask(pc.is_in(rows["_row"], _not_objects(failures))), file)
        return
    if _becomes_csv(dialect):
        rows = rows.set_column(2, "raw", _as_csv(rows["raw"], dialect))
    _csv(rows, errors, origins, _output_dialect(dialect), file)


def _not_objects(failures: pa.RecordBatch) -> pa.Array:
    """Return the rows that may not be JSON objects: malformed ones, and oversize ones, of which only a part is kept."""
    oversize = pc.and_(pc.equal(failures["code"], Code.TOO_LONG), failures["column"].is_null())
    return failures.filter(pc.or_(pc.equal(failures["code"], Code.MALFORMED_ROW), oversize))["row"]


def _output_dialect(dialect: Dialect) -> Dialect:
    """Return the dialect in which the rows are written; a sheet has none of its own."""
    return replace(dialect, delimiter=",", quote='"') if _becomes_csv(dialect) else dialect


def _becomes_csv(dialect: Dialect) -> bool:
    """Return True if the rows are objects that are written as CSV, as those of a sheet are."""
    format_ = FORMATS[dialect.format]
    return format_.rejected_as == "csv" and not format_.is_text


def _csv(
    rows: pa.RecordBatch,
    errors: pa.Array,
    origins: Sequence[pa.Array | bytes] | None,
    dialect: Dialect,
    file: Sink,
) -> None:
    row, line = rows["_row"].cast(pa.string()), rows["_line"].cast(pa.string())
    raw = rows["raw"]
    if old_cells := _old_cells(dialect):
        raw = _without_old_cells(raw, dialect, old_cells)
    delimiter = _delimiter(dialect).encode()
    end = _record_end(dialect).encode()
    origin = [] if origins is None else [delimiter, *origins]
    file.write(
        joined([row, delimiter, line, delimiter, *_quoted(errors, dialect), *origin, delimiter, raw, end])
    )


def _old_cells(dialect: Dialect) -> int:
    """Return the number of first cells that are those of an earlier rejection."""
    return next(
        (len(old) for old in (ADDED_COLUMNS, _WITHOUT_ORIGIN) if dialect.header[: len(old)] == old), 0
    )


def _without_old_cells(raw: pa.Array, dialect: Dialect, number: int) -> pa.Array:
    """Return the rows without the first cells, which are those of an earlier rejection."""
    delimiter, quote = re.escape(_delimiter(dialect)), re.escape(dialect.quote or '"')
    cell = rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}\n]*?){delimiter}"
    return pc.replace_substring_regex(raw, rf"\A(?:{cell}){{{number}}}", "", max_replacements=1)


def _quoted(cells: pa.Array, dialect: Dialect) -> list[pa.Array | bytes]:
    """Return the parts of quoted cells; in a dialect without quotes, delimiters become spaces."""
    if dialect.quote is None:
        return [pc.replace_substring(cells, _delimiter(dialect), " ")]
    mark = dialect.quote.encode()
    return [mark, doubled(cells, dialect.quote, dialect.escape), mark]


def _cell(name: str, dialect: Dialect) -> str:
    special = {_delimiter(dialect), dialect.quote, dialect.escape, "\n", "\r"} - {None}
    if name == name.strip() and not any(character in name for character in special if character):
        return name
    return bytes(joined(_quoted(pa.array([name], pa.large_string()), dialect))).decode()


def _own_names(dialect: Dialect) -> list[str]:
    """Return the header without the columns whose cells are not written."""
    if _becomes_csv(dialect):
        return [name for name in dialect.header if name not in ADDED_COLUMNS]
    return list(dialect.header[_old_cells(dialect) :])


def _as_csv(raw: pa.Array, dialect: Dialect) -> pa.Array:
    """Return the objects of a sheet as CSV records: NULL is an empty cell, an empty text a quoted one.

    Cells beyond the header keep their places, so that a row that is too wide stays too wide.
    """
    names = _own_names(dialect)
    records = []
    for cells in map(orjson.loads, raw.to_pylist()):
        beyond = [name for name in cells if name not in dialect.header]
        records.append(",".join(_sheet_cell(cells.get(name)) for name in [*names, *beyond]).encode())
    return pa.array(records, pa.binary())


def _sheet_cell(value: Any) -> str:  # any JSON value
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if text == "" or text != text.strip() or any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _ndjson(
    rows: pa.RecordBatch,
    errors: pa.Array,
    origins: Sequence[pa.Array | bytes] | None,
    malformed: np.ndarray,
    file: Sink,
) -> None:
    """Write objects with the added keys inserted after the opening brace.

    Rows that are not objects are written under the key `_raw`, so that every line is JSON, apart from bytes that are
    not UTF-8, which stay unchanged.
    """
    rest = _after_brace(rows["raw"], malformed)
    line = pc.fill_null(rows["_line"].cast(pa.string()), "null")
    parts = [b'{"_row":', rows["_row"].cast(pa.string()), b',"_line":', line, b',"_errors":']
    origin = [] if origins is None else [b',"_origin":"', *origins, b'"']
    file.write(joined([*parts, *json_parts(errors), *origin, rest, b"\n"]))


def _after_brace(raw: pa.Array, malformed: np.ndarray) -> pa.Array:
    """Return each object without its opening brace, after a comma unless the object is empty."""
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
    """Return the text after the added keys for a record that cannot be used as it is, else None."""
    try:
        cells = orjson.loads(record)
    except orjson.JSONDecodeError:
        cells = None
    if not isinstance(cells, dict):
        return b',"_raw":' + orjson.dumps(record.decode("utf-8", "replace")) + b"}"
    if not cells.keys() & set(ADDED_COLUMNS):
        return None
    others = orjson.dumps({name: value for name, value in cells.items() if name not in ADDED_COLUMNS})
    return b"," + others[1:] if len(others) > len(b"{}") else b"}"


def _delimiter(dialect: Dialect) -> str:
    return dialect.delimiter or ","


def _record_end(dialect: Dialect) -> str:
    return _RECORD_ENDS.get(dialect.record_end or "", "\n")
