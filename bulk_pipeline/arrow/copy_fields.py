"""Fields of COPY's binary format, a whole column at a time: four bytes of length, -1 for NULL, then the value's bytes.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NOTHING = pa.scalar(b"")
_NULL = pa.scalar(b"\xff\xff\xff\xff")


def sized(cells: pa.Array) -> Iterator[pa.Array]:
    """Each binary cell's length, and its bytes."""
    sizes = packed(big_endian(pc.fill_null(pc.binary_length(cells), 0), ">i4"))
    yield pc.if_else(pc.is_null(cells), _NULL, sizes) if cells.null_count else sizes
    yield pc.fill_null(cells, NOTHING) if cells.null_count else cells


def fixed(cells: pa.Array, octets_of: Callable[[pa.Array], np.ndarray]) -> pa.Array:
    """Fields of one size: `octets_of` gives the bytes of each cell that is not NULL, one row of octets each."""
    known = cells.drop_null() if cells.null_count else cells
    octets = octets_of(known)
    size = octets.shape[1]
    fields = np.empty((len(octets), 4 + size), np.uint8)
    fields[:, :4] = (0, 0, 0, size)
    fields[:, 4:] = octets
    if not cells.null_count:
        return packed(fields)
    return pc.replace_with_mask(pa.repeat(_NULL, len(cells)), pc.is_valid(cells), packed(fields))


def booleans(cells: pa.Array) -> np.ndarray:
    return cells.cast(pa.uint8()).to_numpy().reshape(-1, 1)


def integers(cells: pa.Array) -> np.ndarray:
    return big_endian(cells, ">i8")


def big_endian(numbers: pa.Array, type_: str) -> np.ndarray:
    """A row of octets for each number."""
    wide = numbers.to_numpy().astype(type_)
    return wide.view(np.uint8).reshape(len(wide), wide.itemsize)


def packed(octets: np.ndarray) -> pa.Array:
    """One binary cell for each row of octets."""
    count, size = octets.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(size)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(octets))]
    )
