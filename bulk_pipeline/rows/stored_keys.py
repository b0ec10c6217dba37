"""Fetches the keys of a table, and finds the keys of a file among them.

Where a table is not much larger than the file this costs less than to stage the file's keys and join them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from bulk_pipeline.arrow.bytes import uuid_octets
from bulk_pipeline.postgres.connection import value
from bulk_pipeline.postgres.names import identifier, quoted
from bulk_pipeline.schema import ColumnType, Table
from bulk_pipeline.stages.key_cells import keys_in

_PAGES_AT_ONCE = 2_048
"""16 MB of the table, of which the keys are a part."""
_UUID_OCTETS = 16
_UUID = pa.binary(_UUID_OCTETS)
_COMPARED_BY_BYTES = ("uuid", "text", "character varying")
_END_OF_TEXT = b"\0"
"""No text of Postgres has one."""

Pages = tuple[int, int | None]
"""The first one, and the one after the last; None for the end of the table, wherever that is by then."""


@dataclass(frozen=True)
class Keys:
    """One key of a file's rows: row numbers, and cells as `fetched` has them. Rows without the key are left out."""

    rows: np.ndarray
    cells: pa.ChunkedArray

    def among(self, stored: pa.Array) -> np.ndarray:
        """Which of them `stored` has too."""
        return pc.is_in(self.cells, value_set=stored).to_numpy()


def can_be_fetched(table: Table) -> bool:
    """Return whether all keys are single columns whose values are equal if their bytes are."""
    return all(
        len(key.columns) == 1
        and key.nulls_distinct
        and table.column(key.columns[0]).type.family.name in _COMPARED_BY_BYTES
        and key.columns[0] not in table.key_forms
        for key in table.keys
    )


def keys_of(rows: pa.Table, table: Table) -> dict[int, Keys]:
    """The keys of rows (`_row` and key columns), by number."""
    return {number: _keys(rows, table, key.columns[0]) for number, key in keys_in(table, rows.column_names)}


def estimated_rows(connection: psycopg.Connection, table: Table) -> int:
    """Return the planner's estimate of the number of rows."""
    question = sql.SQL("EXPLAIN (FORMAT json) SELECT FROM {}").format(identifier(table))
    return value(connection, question)[0]["Plan"]["Plan Rows"]


def pages(connection: psycopg.Connection, table: Table) -> Sequence[Pages]:
    """Parts that make up the whole table."""
    question = sql.SQL("SELECT pg_relation_size({}::regclass) / current_setting('block_size')::int")
    size = value(connection, question.format(sql.Literal(quoted(table))))
    firsts = [*range(0, size, _PAGES_AT_ONCE)] or [0]
    return [*zip(firsts, [*firsts[1:], None], strict=True)]


def fetched(
    connection: psycopg.Connection, table: Table, numbers: Iterable[int], part: Pages
) -> Mapping[int, pa.Array]:
    """The keys of these numbers in a part of the table; without NULL."""
    names = {number: table.keys[number].columns[0] for number in numbers}
    first, after = part
    query = sql.SQL("SELECT {} FROM {} WHERE ctid >= {}{}").format(
        sql.SQL(", ").join(_packed(table, name) for name in names.values()),
        identifier(table),
        _place(first),
        sql.SQL(" AND ctid < {}").format(_place(after)) if after is not None else sql.SQL(""),
    )
    with connection.cursor(binary=True) as cursor:
        found = cursor.execute(query).fetchone()
    assert found is not None
    return {
        number: _unpacked(packed, _is_uuid(table, name))
        for (number, name), packed in zip(names.items(), found, strict=True)
    }


def _keys(rows: pa.Table, table: Table, name: str) -> Keys:
    known = rows.filter(pc.is_valid(rows[name])) if rows[name].null_count else rows
    if _is_uuid(table, name):
        uuids = [_uuids(uuid_octets(chunk).tobytes()) for chunk in known[name].chunks]
        return Keys(known["_row"].to_numpy(), pa.chunked_array(uuids, _UUID))
    return Keys(known["_row"].to_numpy(), known[name].cast(pa.binary()))


def _packed(table: Table, name: str) -> sql.Composed:
    """The keys of many rows in one value: a row of an answer costs more than what is in it."""
    key = sql.Identifier(name)
    if _is_uuid(table, name):
        return sql.SQL("string_agg(uuid_send({}), '')").format(key)
    return sql.SQL("string_agg(textsend({}), {})").format(key, sql.Literal(_END_OF_TEXT))


def _unpacked(packed: bytes | None, is_uuid: bool) -> pa.Array:
    if is_uuid:
        return _uuids(packed or b"")
    if packed is None:
        return pa.array([], pa.binary())
    octets = np.frombuffer(packed, np.uint8)
    gaps = np.flatnonzero(octets == 0)
    ends = np.append(gaps, len(octets)) - np.arange(len(gaps) + 1)  # as they are without the gaps
    offsets = np.append(0, ends).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(octets[octets != 0])]
    )


def _uuids(octets: bytes) -> pa.Array:
    return pa.Array.from_buffers(_UUID, len(octets) // _UUID_OCTETS, [None, pa.py_buffer(octets)])


def _is_uuid(table: Table, name: str) -> bool:
    return table.column(name).type is ColumnType.UUID


def _place(page: int) -> sql.Composed:
    return sql.SQL("{}::tid").format(sql.Literal(f"({page},0)"))
