"""Lines of text made of columns: quoted, joined and written without a Python object per row."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.octets import text_bytes
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.texts import doubled, json_escaped


def write(file: Sink, parts: Sequence[pa.Array | bytes]) -> None:
    """One line per row: its value of each part, one after the other. Constants are bytes; NULL is nothing."""
    file.write(text_bytes(joined(parts)).data)


def joined(parts: Sequence[pa.Array | bytes]) -> pa.Array:
    """The parts of each row as one (large binary)."""
    wide = pa.large_binary()  # a batch of long rows, quoted, may pass the 2 GB of plain arrays
    columns = [pa.scalar(part, wide) if isinstance(part, bytes) else part.cast(wide) for part in parts]
    return pc.binary_join_element_wise(
        *columns, pa.scalar(b"", wide), null_handling="replace", null_replacement=b""
    )


def text(raw: pa.Array) -> pa.Array:
    """Bytes as text; what is not UTF-8, and NUL, reads as U+FFFD."""
    try:
        decoded = raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        decoded = pa.array([cell.decode("utf-8", "replace") for cell in raw.to_pylist()], pa.large_string())
    return pc.replace_substring(decoded, "\0", "\ufffd")


def csv_quoted(cells: pa.Array) -> pa.Array:
    """Every cell in quotes; a quote inside is doubled."""
    return _around(doubled(cells.cast(pa.large_string())))


def json_quoted(cells: pa.Array) -> pa.Array:
    """Every cell as a JSON string; NULL as null."""
    return pc.fill_null(_around(json_escaped(cells.cast(pa.large_string()))), "null")


def json_parts(cells: pa.Array) -> list[pa.Array | bytes]:
    """The same as parts of a line: without NULLs the quotes need no copy of the cells."""
    if cells.null_count:
        return [json_quoted(cells)]
    return [b'"', json_escaped(cells.cast(pa.large_string())), b'"']


def _around(cells: pa.Array) -> pa.Array:
    mark, nothing = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(mark, cells, mark, nothing)
