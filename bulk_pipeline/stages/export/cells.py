"""Typed Arrow columns as texts, by whole-column kernels. A column without a value stays NULL.

pyarrow's own CSV writer needs four seconds for what these do in one (a million customers): its times are slow.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.octets import uuid_texts
from bulk_pipeline.schema.types import FIRST_INSTANT, LAST_INSTANT
from bulk_pipeline.stages.texts import json_escaped


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
            return Cells(_ids(cells), before=column.prefix or "")
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


def _ids(cells: pa.Array) -> pa.StringArray:
    """Sixteen bytes each, in Arrow's own type for UUIDs, as canonical text."""
    stored = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
    octets = np.frombuffer(stored.buffers()[1], np.uint8).reshape(-1, 16)
    texts = uuid_texts(octets[stored.offset : stored.offset + len(stored)])
    return pc.if_else(stored.is_valid(), texts, None) if stored.null_count else texts


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
