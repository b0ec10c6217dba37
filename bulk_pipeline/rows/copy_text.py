"""Arrow rows as the CSV that COPY reads, for tables with columns that have no binary form of ours (see `Codec`)."""

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import hex_texts
from bulk_pipeline.arrow.text import Bytes, csv_records
from bulk_pipeline.schema import Column
from bulk_pipeline.schema.types import codec_of

_BYTES = "\\x"


def records(rows: pa.Table, declared: list[Column | None]) -> Bytes:
    """Return the rows. `declared`: the columns; None for those that are none of the table's, as in `copy_binary`."""
    return csv_records([_cells(cells, column) for cells, column in zip(rows.columns, declared, strict=True)])


def _cells(chunks: pa.ChunkedArray, column: Column | None) -> pa.Array:
    cells = pa.concat_arrays(chunks.chunks) if chunks.num_chunks != 1 else chunks.chunk(0)
    if column is not None:
        return codec_of(column).to_literal(column, cells)
    if pa.types.is_fixed_size_binary(cells.type):
        return pc.binary_join_element_wise(_BYTES, hex_texts(cells), "")
    return cells
