"""How a checked file was read: its format as detected, and its first rows below the columns they were taken for.

Imports Arrow only in the process of a check.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_pipeline.office.formats import shown

if TYPE_CHECKING:
    import pyarrow as pa

    from bulk_pipeline.stages.parse.parsed import Dialect

MOST_ROWS = 5
_MOST_COLUMNS = 30
_MOST_TEXT = 80


@dataclass(frozen=True)
class Preview:
    """The first rows as they were read. All texts can be shown as they are.

    `columns`: of the table. `numbers`: the line of the file or the row of the sheet of each row. `rows`: the cells,
    None for an empty one. The other fields are those of `stages.parse.parsed.Dialect`.
    """

    format: str
    delimiter: str | None
    encoding: str | None
    header_line: int | None
    skipped_lines: int
    columns: tuple[str, ...]
    numbers: tuple[int | None, ...]
    rows: tuple[tuple[str | None, ...], ...]


def preview_of(dialect: "Dialect", records: "pa.RecordBatch | None") -> Preview:
    """Return the preview. `records`: `_row`, `_line`, then text columns; None without any."""
    names = [] if records is None else records.schema.names
    columns = [name for name in names if not name.startswith("_")][:_MOST_COLUMNS]
    first = [] if records is None else records.slice(0, MOST_ROWS).to_pylist()
    return Preview(
        dialect.format,
        dialect.delimiter,
        dialect.encoding,
        dialect.header_line,
        dialect.skipped_lines,
        tuple(columns),
        tuple(row["_line"] for row in first),
        tuple(tuple(_cell(row[name]) for name in columns) for row in first),
    )


def _cell(text: str | None) -> str | None:
    return None if text is None else shown(text, _MOST_TEXT)
