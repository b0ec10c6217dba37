"""Stops at a second table in the file: below a header with other columns, or the same in another order, no row is
what it seems to be.

Rows go on to be read where the file's own header is repeated. Only for files read into a table, whose names are
known; a header is looked for in the column that no good row leaves to chance, so that clean rows cost next to nothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.csv_dialect import as_text, cells_of
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.header import normalized
from bulk_pipeline.stages.parse.parsed import FailureRows, Parsed

_ENOUGH_NAMES = 2


def only_first_table(chunks: Iterable[Parsed], plan: Plan, table: Table) -> Iterator[Parsed]:
    """The chunks; rows of another table are malformed."""
    required = [column.name for column in table.columns if column.required and column.name in plan.names]
    key = (required or list(plan.names))[0]
    own = [normalized(name) for name in plan.labels]
    below: int | None = None
    for parsed in chunks:
        foreign = np.zeros(parsed.raw.num_rows, np.bool_)
        line_of = np.zeros(parsed.raw.num_rows, np.int64)
        headers = list(_headers(parsed, key, plan, table))
        for at, (index, names) in enumerate(headers):
            until = headers[at + 1][0] if at + 1 < len(headers) else len(foreign)
            if at == 0 and below is not None:
                foreign[:index], line_of[:index] = True, below
            below = None if names == own else parsed.raw.column("_line")[index].as_py()
            if below is not None:
                foreign[index:until], line_of[index:until] = True, below
        if not headers and below is not None:
            foreign[:], line_of[:] = True, below
        yield _without(parsed, foreign, line_of) if foreign.any() else parsed


def _headers(parsed: Parsed, key: str, plan: Plan, table: Table) -> Iterator[tuple[int, list[str]]]:
    """Rows that name columns of the table: their index in the chunk, and the names."""
    if not parsed.raw.num_rows:
        return
    first = parsed.raw.column("_row")[0].as_py()
    for row in sorted(_suspects(parsed, key, table)):
        raw = parsed.raw.column("raw")[row - first].as_py()
        names = [normalized(as_text(cell)) for cell in cells_of(raw, plan.syntax) or ()]
        if len(set(names) & set(table.column_names)) >= _ENOUGH_NAMES:
            yield row - first, names


def _suspects(parsed: Parsed, key: str, table: Table) -> set[int]:
    """Numbers of rows that hold a name where `key` should be, and of malformed rows that hold the name `key`."""
    spellings = {name.replace("_", between) for name in table.column_names for between in "_- "}
    cells = parsed.records.column(parsed.records.schema.get_field_index(key))
    named = pc.is_in(pc.utf8_trim_whitespace(pc.utf8_lower(cells)), pa.array(sorted(spellings)))
    found = set(parsed.records.column("_row").filter(named).to_pylist())
    if parsed.failures.num_rows:
        malformed = parsed.failures.filter(pc.is_null(parsed.failures.column("column")))
        holds = pc.match_substring(malformed.column("value"), key, ignore_case=True)
        found |= set(malformed.column("row").filter(holds).to_pylist())
    return found


def _without(parsed: Parsed, foreign: np.ndarray, line_of: np.ndarray) -> Parsed:
    """The chunk with foreign rows as failures; what was malformed anyway stays as it was."""
    first = parsed.raw.column("_row")[0].as_py()
    lost = foreign[parsed.records.column("_row").to_numpy() - first]
    added = FailureRows()
    for row in parsed.records.column("_row").filter(pa.array(lost)).to_pylist():
        line, raw = (parsed.raw.column(name)[row - first].as_py() for name in ("_line", "raw"))
        header = int(line_of[row - first])
        problem = (
            "is a header with other columns than the file's"
            if line == header
            else f"stands below a header with other columns (line {header})"
        )
        added.add(row, line, None, Code.MALFORMED_ROW, shown(raw), problem)
    in_foreign = foreign[parsed.failures.column("row").to_numpy() - first]
    still_told = pc.or_(pc.is_null(parsed.failures.column("column")), pa.array(~in_foreign))
    told = pa.concat_batches([parsed.failures.filter(still_told), added.batch()])
    order = np.argsort(told.column("row").to_numpy(), kind="stable")
    return Parsed(parsed.records.filter(pa.array(~lost)), parsed.raw, told.take(pa.array(order)))
