"""Stops at a second table in the file: below a header with other columns, or the same in another order, no row is
what it seems to be.

Rows go on to be read where the file's own header is repeated. Only for files read into a table, whose names are
known; a header is looked for in the column that no good row leaves to chance, so that clean rows cost next to nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.masks import mask
from bulk_pipeline.schema.octets import first_bytes, last_bytes
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.column_names import ColumnNames, plain, spelling
from bulk_pipeline.stages.parse.csv_dialect import as_text, cells_of
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.parsed import FailureRows, Parsed

_ENOUGH_NAMES = 2
_MORE_BYTES = 16
"""By how much a name in the file may be longer than the table's, for blanks, quotes and invisible characters."""
_OTHER_DELIMITERS = (b",", b";", b"\t", b"|")
_NO_LETTER = np.array([not chr(octet).isalnum() or octet > 0x7F for octet in range(256)])
_REPEATED, _OTHER = "the header is repeated here", "is a header with other columns than the file's"


@dataclass(frozen=True)
class _Header:
    """A row that is a header: its index in the chunk, and whether it is the file's own once more."""

    index: int
    is_own: bool
    is_legible: bool  # cut by the file's own delimiter, so that rows below it could be too


def only_first_table(chunks: Iterable[Parsed], plan: Plan, names: ColumnNames) -> Iterator[Parsed]:
    """The chunks; headers, and rows of another table, are malformed."""
    required = [
        column.name for column in names.table.columns if column.required and column.name in plan.names
    ]
    key = (required or list(plan.names))[0]
    below: int | None = None
    for parsed in chunks:
        problems: dict[int, str] = {}
        foreign = np.zeros(parsed.raw.num_rows, np.bool_)
        line_of = np.zeros(parsed.raw.num_rows, np.int64)
        reached = 0
        for found in _headers(parsed, key, plan, names):
            if below is not None:
                foreign[reached : found.index], line_of[reached : found.index] = True, below
            problems[found.index] = _REPEATED if found.is_own else _OTHER
            if found.is_legible or found.is_own:
                below = None if found.is_own else parsed.raw.column("_line")[found.index].as_py()
            reached = found.index + 1
        if below is not None:
            foreign[reached:], line_of[reached:] = True, below
        yield _without(parsed, foreign, line_of, problems) if problems or foreign.any() else parsed


def _headers(parsed: Parsed, key: str, plan: Plan, names: ColumnNames) -> Iterator[_Header]:
    """Rows that name columns of the table."""
    if not parsed.raw.num_rows:
        return
    own = [_name(label, names) for label in plan.labels]
    malformed = set(_malformed(parsed).column("row").to_pylist())
    first = parsed.raw.column("_row")[0].as_py()
    for row in sorted(_suspects(parsed, key, names)):
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


def _malformed(parsed: Parsed) -> pa.RecordBatch:
    """The failures of rows that are no records; their values are the beginnings of the rows."""
    return parsed.failures.filter(pc.is_null(parsed.failures.column("column")))


def _plain(texts: pa.Array) -> pa.Array:
    """What `plain` makes of each text."""
    return pc.replace_substring_regex(pc.ascii_lower(texts), "[^a-z0-9]+", "")


def _suspects(parsed: Parsed, key: str, names: ColumnNames) -> set[int]:
    """Numbers of rows that hold a name where `key` should be, and of malformed rows that hold a name of the table's."""
    plain_names = names.plain_spellings()
    cells = parsed.records.column(parsed.records.schema.get_field_index(key))
    maybe = np.flatnonzero(_may_be_one_of(plain_names, cells))
    is_name = pc.is_in(_plain(cells.take(maybe)), pa.array(plain_names))
    found = set(parsed.records.column("_row").take(maybe).filter(is_name).to_pylist())
    malformed = _malformed(parsed)
    begins = _plain(malformed.column("value"))
    for name in [name for name in plain_names if names.column(name) == key] or [plain(key)]:
        found |= set(malformed.column("row").filter(pc.match_substring(begins, name)).to_pylist())
    return found


def _may_be_one_of(plain_names: list[str], cells: pa.Array) -> np.ndarray:
    """Which cells are short enough to be one of the names, and begin and end as one does or with neither letter nor
    digit."""
    longest = max(map(len, plain_names)) + _MORE_BYTES
    length = pc.binary_length(cells)
    is_short = mask(pc.and_(pc.greater(length, 0), pc.less(length, longest)))
    if not is_short.any():
        return is_short
    begins, ends = _NO_LETTER.copy(), _NO_LETTER.copy()
    for name in plain_names:
        begins[list((name[0] + name[0].upper()).encode())] = True
        ends[list((name[-1] + name[-1].upper()).encode())] = True
    return is_short & begins[first_bytes(cells)] & ends[last_bytes(cells)]


def _without(parsed: Parsed, foreign: np.ndarray, line_of: np.ndarray, problems: Mapping[int, str]) -> Parsed:
    """The chunk with headers and foreign rows as failures; foreign rows that were malformed stay as they were."""
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
    return Parsed(parsed.records.filter(pa.array(~lost)), parsed.raw, failures.take(pa.array(order)))
