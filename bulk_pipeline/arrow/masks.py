"""Boolean Arrow arrays as NumPy masks, where unknown is false, and back."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def mask(flags: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return one writable boolean per row; NULL is false."""
    return np.array(pc.fill_null(flags, False), dtype=bool)


def without(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """Return `values` with NULL where `rows` is true; for every type, also lists."""
    if not rows.any():
        return values
    return values.take(pa.array(np.arange(len(values)), mask=rows))
