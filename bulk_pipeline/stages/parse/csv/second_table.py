"""Rejects the rows of a second table in the file: rows below a header with other columns or another column order.

Rows are read again below a repetition of the file's own header. Applies only to files read into a table, whose column
names are known. Headers are searched for in one key column, so that clean rows cost next to nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import first_bytes, last_bytes
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.column_names import ColumnNames, plain, spelling
from bulk_pipeline.stages.parse.csv.dialect import as_text, cells_of
from bulk_pipeline.stages.parse.csv.syntax import Plan
from bulk_pipeline.stages.parse.parsed import FailureRows, ParsedChunk

_ENOUGH_NAMES = 2
_MORE_BYTES = 16
"""Bytes by which a name in the file may be longer than the table's: blanks, quotes and invisible characters."""
_OTHER_DELIMITERS = (b",", b";", b"\t", b"|")
_NO_LETTER = np.array([not chr(octet).isalnum() or octet > 0x7F for octet in range(256)])
_BETWEEN = "[^a-zA-Z0-9]*"
_REPEATED, _OTHER = "the header is repeated here", "is a header with other columns than the file's"


@dataclass(frozen=True)
class _Header:
    """A row that is a header: its index in the chunk, and whether it repeats the file's own header."""

    index: int
    is_own: bool
    is_legible: bool  # has the file's own delimiter, so that rows below it may look like records


@dataclass(frozen=True)
class _Search:
    """The search for headers in each chunk: cells of the column `key` that may be names, and rows with its name.

    `cell` and `row` are patterns. A cell of `too_long` bytes or more, or whose first or last byte is not in the masks
    `begins` and `ends`, is skipped without matching.
    """

    key: str
    too_long: int
    begins: np.ndarray
    ends: np.ndarray
    cell: str
    row: str


def first_table_only(chunks: Iterable[ParsedChunk], plan: Plan, names: ColumnNames) -> Iterator[ParsedChunk]:
    """Yield the chunks with headers and rows of another table rejected as malformed."""
    search = _search(plan, names)
    below: int | None = None
    for parsed in chunks:
        problems: dict[int, str] = {}
        foreign = np.zeros(parsed.raw.num_rows, np.bool_)
        line_of = np.zeros(parsed.raw.num_rows, np.int64)
        reached = 0
        for header in _headers(parsed, search, plan, names):
            if below is not None:
                foreign[reached : header.index], line_of[reached : header.index] = True, below
            problems[header.index] = _REPEATED if header.is_own else _OTHER
            if header.is_legible or header.is_own:
                below = None if header.is_own else parsed.raw.column("_line")[header.index].as_py()
            reached = header.index + 1
        if below is not None:
            foreign[reached:], line_of[reached:] = True, below
        yield _without(parsed, foreign, line_of, problems) if problems or foreign.any() else parsed


def _headers(parsed: ParsedChunk, search: _Search, plan: Plan, names: ColumnNames) -> Iterator[_Header]:
    """Yield the rows that name columns of the table."""
    if not parsed.raw.num_rows:
        return
    suspects = _suspects(parsed, search)
    if not suspects:
        return
    own = [_name(label, names) for label in plan.labels]
    malformed = set(_malformed(parsed).column("row").to_pylist())
    first = parsed.raw.column("_row")[0].as_py()
    for row in sorted(suspects):
        raw = parsed.raw.column("raw")[row - first].as_py()
        for delimiter in (
            (plan.syntax.delimiter, *_OTHER_DELIMITERS) if row in malformed else (plan.syntax.delimiter,)
        ):
            cells = [as_text(cell) for cell in cells_of(raw, replace(plan.syntax, delimiter=delimiter)) or ()]
            is_own = [_name(cell, names) for cell in cells] == own
            if is_own or len(names.known(cells)) >= _ENOUGH_NAMES:
                yield _Header(row - first, is_own, delimiter == plan.syntax.delimiter)
                break


def _name(cell: str, names: ColumnNames) -> str:
    return names.column(cell) or spelling(cell)


def _malformed(parsed: ParsedChunk) -> pa.RecordBatch:
    """Return the failures of malformed rows; their values are the beginnings of the rows."""
    return parsed.failures.filter(pc.is_null(parsed.failures.column("column")))


def _search(plan: Plan, names: ColumnNames) -> _Search:
    required = [
        column.name for column in names.table.columns if column.required and column.name in plan.names
    ]
    key = (required or list(plan.names))[0]
    plain_names = names.plain_spellings()
    begins, ends = _NO_LETTER.copy(), _NO_LETTER.copy()
    for name in plain_names:
        begins[list((name[0] + name[0].upper()).encode())] = True
        ends[list((name[-1] + name[-1].upper()).encode())] = True
    of_key = [name for name in plain_names if names.column(name) == key] or [plain(key)]
    return _Search(
        key=key,
        too_long=max(map(len, plain_names), default=0) + _MORE_BYTES,
        begins=begins,
        ends=ends,
        cell=rf"\A{_BETWEEN}(?:{_spread(plain_names)}){_BETWEEN}\z",
        row=_spread(of_key),
    )


def _spread(plain_names: Iterable[str]) -> str:
    """Return a pattern that matches a text if its `plain` form contains one of the names."""
    return "|".join(_BETWEEN.join(f"[{letter}{letter.upper()}]" for letter in name) for name in plain_names)


def _suspects(parsed: ParsedChunk, search: _Search) -> set[int]:
    """Return the numbers of rows with a column name in the key's cell, and of malformed rows with the key's name."""
    cells = parsed.records.column(parsed.records.schema.get_field_index(search.key))
    numbers: set[int] = set()
    if len(maybe := _may_be_names(cells, search)):
        is_name = pc.match_substring_regex(cells.take(pa.array(maybe)), search.cell)
        numbers |= set(parsed.records.column("_row").take(pa.array(maybe)).filter(is_name).to_pylist())
    if parsed.failures.num_rows:
        malformed = _malformed(parsed)
        holds = pc.match_substring_regex(malformed.column("value"), search.row)
        numbers |= set(malformed.column("row").filter(holds).to_pylist())
    return numbers


def _may_be_names(cells: pa.Array, search: _Search) -> np.ndarray:
    """Return the indexes of cells that are as short as a name and whose first and last byte may belong to one."""
    length = pc.fill_null(pc.binary_length(cells), 0).to_numpy()
    may_be = (length > 0) & (length < search.too_long)
    if may_be.any():
        may_be &= search.begins[first_bytes(cells)]
        may_be &= search.ends[last_bytes(cells)]
    return np.flatnonzero(may_be)


def _without(
    parsed: ParsedChunk, foreign: np.ndarray, line_of: np.ndarray, problems: Mapping[int, str]
) -> ParsedChunk:
    """Return the chunk with headers and foreign rows as failures; foreign rows that were malformed stay unchanged."""
    first = parsed.raw.column("_row")[0].as_py()
    is_header = np.zeros(len(foreign), np.bool_)
    is_header[list(problems)] = True
    of_records = parsed.records.column("_row").to_numpy() - first
    lost = (foreign | is_header)[of_records]
    added = FailureRows()
    for index in sorted({*of_records[lost].tolist(), *problems}):
        line, raw = (parsed.raw.column(name)[index].as_py() for name in ("_line", "raw"))
        problem = problems.get(index) or f"stands below a header with other columns (line {line_of[index]})"
        added.add(index + first, line, None, Code.MALFORMED_ROW, shown(raw), problem)
    of_failures = parsed.failures.column("row").to_numpy() - first
    is_malformed = parsed.failures.column("column").is_null().to_numpy(zero_copy_only=False)
    kept = ~is_header[of_failures] & (is_malformed | ~foreign[of_failures])
    failures = pa.concat_batches([parsed.failures.filter(pa.array(kept)), added.batch()])
    order = np.argsort(failures.column("row").to_numpy(), kind="stable")
    return ParsedChunk(parsed.records.filter(pa.array(~lost)), parsed.raw, failures.take(pa.array(order)))
