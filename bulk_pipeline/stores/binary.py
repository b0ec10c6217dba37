"""Arrow rows in COPY's binary format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".

A row is a count of its fields and then each field: four bytes of length, -1 for NULL, and what the type's receive
function reads. A whole column of fields is made at a time, and the columns are joined row by row.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import ColumnType
from bulk_pipeline.schema.octets import text_bytes, uuid_octets
from bulk_pipeline.stages import absence

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_NULL = pa.scalar(b"\xff\xff\xff\xff")
_NOTHING = pa.scalar(b"")
_EPOCH = 946_684_800_000_000  # 2000-01-01, from which Postgres counts, in microseconds since 1970
_TEXT_OID = 25


def tuples(rows: pa.Table, types: list[ColumnType | None]) -> memoryview:
    """The rows, as they stand between `HEADER` and `TRAILER`.

    `types`: of the columns; None for those that are none of the table's: int64, boolean, or binary of one width.
    """
    count = pa.scalar(len(types).to_bytes(2, "big"))
    fields = [
        field for column, type_ in zip(rows.columns, types, strict=True) for field in _fields(column, type_)
    ]
    return text_bytes(pc.binary_join_element_wise(count, *fields, _NOTHING)).data


def _fields(column: pa.ChunkedArray, type_: ColumnType | None) -> Iterator[pa.Array]:
    """Arrays of bytes that make up the column's fields when they are joined."""
    cells = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    if type_ is ColumnType.TEXT:
        return _sized(cells.cast(pa.binary()))
    if type_ is ColumnType.TEXT_ARRAY:
        return _sized(_arrays(cells))
    return iter([_fixed(cells, _RECEIVED[type_] if type_ else _of_arrow(cells.type))])


def _sized(cells: pa.Array) -> Iterator[pa.Array]:
    """Each cell's length, and its bytes."""
    sizes = _packed(_big_endian(pc.fill_null(pc.binary_length(cells), 0), ">i4"))
    yield pc.if_else(pc.is_null(cells), _NULL, sizes) if cells.null_count else sizes
    yield pc.fill_null(cells, _NOTHING) if cells.null_count else cells


def _fixed(cells: pa.Array, received: Callable[[pa.Array], np.ndarray]) -> pa.Array:
    """Fields of one size: `received` gives the bytes of each cell that is not NULL, one row of octets each."""
    known = cells.drop_null() if cells.null_count else cells
    octets = received(known)
    size = octets.shape[1]
    fields = np.empty((len(octets), 4 + size), np.uint8)
    fields[:, :4] = (0, 0, 0, size)
    fields[:, 4:] = octets
    if not cells.null_count:
        return _packed(fields)
    return pc.replace_with_mask(pa.repeat(_NULL, len(cells)), pc.is_valid(cells), _packed(fields))


def _arrays(lists: pa.Array) -> pa.Array:
    """Lists of texts as `array_recv` reads them; an empty one has no dimension."""
    elements = pc.binary_join_element_wise(*_sized(pc.list_flatten(lists).cast(pa.binary())), _NOTHING)
    counts = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    contents = pc.binary_join(pa.ListArray.from_arrays(offsets, elements), b"")
    heads = np.zeros((len(lists), 20), np.uint8)
    has_null = 1  # it may; Postgres looks for itself
    heads[:, :12] = np.array([1, has_null, _TEXT_OID], ">i4").view(np.uint8)
    heads[:, 12:16] = _big_endian(counts, ">i4")
    heads[:, 16:] = (0, 0, 0, 1)  # its lower bound
    empty = pa.scalar(np.array([0, 0, _TEXT_OID], ">i4").tobytes())
    heads_or_empty = pc.if_else(pc.equal(counts, 0), empty, _packed(heads))
    joined = pc.binary_join_element_wise(heads_or_empty, contents, _NOTHING)
    return pc.if_else(pc.is_null(lists), pa.scalar(None, pa.binary()), joined) if lists.null_count else joined


def _timestamps(cells: pa.Array) -> np.ndarray:
    return _big_endian(pc.subtract(cells.cast(pa.int64()), _EPOCH), ">i8")


def _booleans(cells: pa.Array) -> np.ndarray:
    return cells.cast(pa.uint8()).to_numpy().reshape(-1, 1)


def _integers(cells: pa.Array) -> np.ndarray:
    return _big_endian(cells, ">i8")


_RECEIVED: dict[ColumnType, Callable[[pa.Array], np.ndarray]] = {
    ColumnType.UUID: uuid_octets,
    ColumnType.TIMESTAMP: _timestamps,
    ColumnType.BOOLEAN: _booleans,
}


def _of_arrow(type_: pa.DataType) -> Callable[[pa.Array], np.ndarray]:
    if pa.types.is_fixed_size_binary(type_):
        return absence.octets
    return _booleans if pa.types.is_boolean(type_) else _integers


def _big_endian(numbers: pa.Array, type_: str) -> np.ndarray:
    """A row of octets for each number."""
    wide = numbers.to_numpy().astype(type_)
    return wide.view(np.uint8).reshape(len(wide), wide.itemsize)


def _packed(octets: np.ndarray) -> pa.Array:
    """One binary cell for each row of octets."""
    count, size = octets.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(size)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(octets))]
    )
