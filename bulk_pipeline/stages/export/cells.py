"""Typed Arrow columns as texts, by whole-column kernels. A column without a value stays NULL.

pyarrow's own CSV writer needs four seconds for what these do in one (a million customers): its times are slow.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.types import FIRST_INSTANT, LAST_INSTANT

_HEX = np.array([f"{number:02x}" for number in range(256)], "S2").view(np.uint16)
_UUID_LENGTH = 36
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""Which of the 32 digits stand together; each group moves on by one hyphen."""
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


@dataclass(frozen=True)
class Cells:
    """What each cell of a column is between its quotes, if it has a value: `before`, its text, `after`.

    The two are the same for all cells, and cost nothing if they are joined to a line together with everything else.
    """

    texts: pa.StringArray
    before: str = ""
    after: str = ""

    def whole(self) -> pa.StringArray:
        if not self.before and not self.after:
            return self.texts
        return pc.binary_join_element_wise(self.before, self.texts, self.after, "")


def written(column: Column, cells: pa.Array) -> Cells:
    """Cells as they stand in a file, before any escapes: ISO 8601 with microseconds, JSON arrays, `cm_` ids."""
    match column.type:
        case ColumnType.UUID:
            return Cells(uuid_texts(cells), before=column.prefix or "")
        case ColumnType.TIMESTAMP:
            return Cells(_times(cells), after="Z")
        case ColumnType.BOOLEAN:
            return Cells(cells.cast(pa.string()))
        case ColumnType.TEXT_ARRAY:
            return Cells(_json_arrays(cells))
    return Cells(cells)


def check_times(column: Column, cells: pa.Array) -> None:
    """`UnwritableValueError` for `infinity`, and for years that ISO 8601 has no four digits for."""
    if column.type is ColumnType.TIMESTAMP and len(cells) > cells.null_count:
        numbers = pc.min_max(cells.cast(pa.int64()))
        if numbers["min"].as_py() < FIRST_INSTANT or numbers["max"].as_py() > LAST_INSTANT:
            raise UnwritableValueError(
                f"{column.name} holds a time outside the years 1 to 9999, or infinity: "
                f"leave such rows out by a filter like {column.name}<=9999-12-31"
            )


def uuid_texts(cells: pa.Array) -> pa.StringArray:
    """Sixteen bytes each, in Arrow's own type for UUIDs, as canonical text."""
    stored = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
    data = stored.buffers()[1]
    rows = len(stored)
    octets = np.frombuffer(data, np.uint8)[16 * stored.offset : 16 * (stored.offset + rows)]
    digits = _HEX.take(octets).view(np.uint8).reshape(rows, 32)
    canonical = np.full((rows, _UUID_LENGTH), ord("-"), np.uint8)
    for hyphens, (start, stop) in enumerate(_GROUPS):
        canonical[:, start + hyphens : stop + hyphens] = digits[:, start:stop]
    offsets = np.arange(0, _UUID_LENGTH * (rows + 1), _UUID_LENGTH, dtype=np.int32)
    # Anew, as that of a slice does not begin with its first row.
    validity = stored.is_valid().buffers()[1] if stored.null_count else None
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(canonical), validity)


def json_escaped(cells: pa.StringArray) -> pa.StringArray:
    """Texts as they stand between the quotes of JSON."""
    for special in special_characters(cells):
        if special in '\\"':
            cells = pc.replace_substring(cells, special, f"\\{special}")
        elif special < " ":
            cells = pc.replace_substring(cells, special, _SHORT.get(special, f"\\u{ord(special):04x}"))
    return cells


def special_characters(cells: pa.StringArray) -> str:
    """Those of a column's characters that some format must escape, the backslash first."""
    present = np.bincount(text_bytes(cells), minlength=128)
    return "".join(c for c in ("\\", '"', *map(chr, range(32))) if present[ord(c)])


def text_bytes(cells: pa.StringArray) -> np.ndarray:
    """The bytes of all texts together, which Arrow keeps side by side."""
    _, offsets, data = cells.buffers()
    if not len(cells) or data is None:
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _times(cells: pa.Array) -> pa.StringArray:
    """`2026-01-31T12:30:00.000001`. In UTC already, and a cast that need not look the zone up is faster."""
    return pc.binary_replace_slice(cells.cast(pa.timestamp("us")).cast(pa.string()), 10, 11, "T")


def _json_arrays(cells: pa.ListArray) -> pa.StringArray:
    elements = json_escaped(cells.flatten())
    elements = pc.fill_null(pc.binary_join_element_wise('"', elements, '"', ""), "null")
    lengths = pc.fill_null(pc.list_value_length(cells), 0)
    offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int32)
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), elements), ",")
    return pc.if_else(cells.is_valid(), pc.binary_join_element_wise("[", joined, "]", ""), None)
