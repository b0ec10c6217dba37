"""Lines of text made of columns: quoted, joined and written without a Python object per row."""

from collections.abc import Sequence
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.stages.shown import holds

_CONTROL = "".join(map(chr, range(0x20)))


def write(file: BinaryIO, parts: Sequence[pa.Array | bytes]) -> None:
    """One line per row: its value of each part, one after the other. Constants are bytes; NULL is nothing."""
    wide = pa.large_binary()  # a batch of long rows, quoted, may pass the 2 GB of plain arrays
    columns = [pa.scalar(part, wide) if isinstance(part, bytes) else part.cast(wide) for part in parts]
    joined = pc.binary_join_element_wise(
        *columns, pa.scalar(b"", wide), null_handling="replace", null_replacement=b""
    )
    _, offsets, data = joined.buffers()
    if len(joined) and data is not None:
        ends = memoryview(offsets).cast("q")
        file.write(memoryview(data)[ends[0] : ends[len(joined)]])


def text(raw: pa.Array) -> pa.Array:
    """Bytes as text; what is not UTF-8, and NUL, reads as U+FFFD."""
    try:
        decoded = raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        decoded = pa.array([cell.decode("utf-8", "replace") for cell in raw.to_pylist()], pa.large_string())
    return pc.replace_substring(decoded, "\0", "\ufffd")


def csv_quoted(cells: pa.Array, quote: str = '"', escape: str | None = None) -> pa.Array:
    """Every cell in quotes; a quote inside is doubled, or escaped if the dialect has an escape."""
    cells = cells.cast(pa.large_string())
    if escape is not None and escape != quote:
        cells = pc.replace_substring(cells, escape, escape * 2)
    if holds(cells, quote):
        cells = pc.replace_substring(cells, quote, (escape or quote) + quote)
    return _around(quote, cells)


def json_quoted(cells: pa.Array) -> pa.Array:
    """Every cell as a JSON string; NULL as null."""
    cells = escaped = cells.cast(pa.large_string())
    if holds(cells, '\\"'):
        escaped = pc.replace_substring(pc.replace_substring(cells, "\\", "\\\\"), '"', '\\"')
    if holds(cells, _CONTROL):
        control = pc.match_substring_regex(cells, r"[\x00-\x1f]")
        rare = [orjson.dumps(cell).decode()[1:-1] for cell in cells.filter(control).to_pylist()]
        escaped = pc.replace_with_mask(
            escaped, pc.fill_null(control, False), pa.array(rare, pa.large_string())
        )
    return pc.fill_null(_around('"', escaped), "null")


def _around(quote: str, cells: pa.Array) -> pa.Array:
    mark, nothing = pa.scalar(quote, pa.large_string()), pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(mark, cells, mark, nothing)
