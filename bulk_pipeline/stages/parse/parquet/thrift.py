"""Reads structures in Thrift's compact protocol, the format of Parquet's footer and page headers.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Mapping

Struct = dict[int, "int | bytes | Struct | list[Struct] | None"]
"""Values by field number. Maps, floating-point numbers and most lists are skipped, and None."""

Lists = Mapping[int, "Lists"]
"""The fields to read that are lists of structures, or structures with such lists, and the same for their fields."""

_NO_LISTS: Lists = {}
_TRUE, _FALSE, _BYTE, _INT16, _INT32, _INT64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_MOST_NESTED = 16


class ThriftError(ValueError):
    """The bytes are not such a structure, or end too early."""


def read_struct(data: bytes, at: int = 0, lists: Lists = _NO_LISTS, depth: int = 0) -> tuple[Struct, int]:
    """Return the structure at `at`, with the lists that `lists` names, and where it ends. Raises `ThriftError`."""
    fields: Struct = {}
    field = 0
    try:
        while (head := data[at]) != 0:
            at += 1
            if head >> 4:
                field += head >> 4
            else:
                field, at = _zigzag(data, at)
            kind = head & 0x0F
            if kind in (_TRUE, _FALSE):
                fields[field] = int(kind == _TRUE)
            elif kind == _LIST and field in lists:
                fields[field], at = _structs(data, at, lists[field], depth)
            else:
                fields[field], at = _value(data, at, kind, lists.get(field, _NO_LISTS), depth)
    except IndexError as error:
        raise ThriftError("cut short") from error
    return fields, at + 1


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned number and where it ends. Raises `ThriftError`, or `IndexError` at the end of the bytes."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ThriftError("no number")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    number, at = varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def _structs(data: bytes, at: int, lists: Lists, depth: int) -> tuple[list[Struct], int]:
    kind, size, at = _list_head(data, at)
    if kind != _STRUCT:
        raise ThriftError("no list of structures")
    structs: list[Struct] = []
    for _ in range(size):
        struct, at = read_struct(data, at, lists, depth + 1)
        structs.append(struct)
    return structs, at


def _value(
    data: bytes, at: int, kind: int, lists: Lists, depth: int
) -> tuple["int | bytes | Struct | None", int]:
    if depth > _MOST_NESTED:
        raise ThriftError("nested too deeply")
    if kind in (_INT16, _INT32, _INT64):
        return _zigzag(data, at)
    if kind == _STRUCT:
        return read_struct(data, at, lists, depth + 1)
    if kind == _BINARY:
        size, at = varint(data, at)
        return data[at : at + size], at + size
    if kind in (_TRUE, _FALSE, _BYTE):
        return data[at], at + 1
    if kind == _DOUBLE:
        return None, at + 8
    if kind in (_LIST, _SET):
        element, size, at = _list_head(data, at)
        return None, _skip(data, at, (element,), size, depth)
    if kind == _MAP:
        size, at = varint(data, at)
        kinds = data[at] if size else 0
        return None, _skip(data, at + bool(size), (kinds >> 4, kinds & 0x0F), size, depth)
    raise ThriftError(f"no type {kind}")


def _list_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the type of a list's elements, their number, and where they begin."""
    size, kind = data[at] >> 4, data[at] & 0x0F
    size, at = (size, at + 1) if size < 15 else varint(data, at + 1)
    if size > len(data):
        raise ThriftError("cut short")
    return kind, size, at


def _skip(data: bytes, at: int, kinds: tuple[int, ...], size: int, depth: int) -> int:
    if size > len(data):
        raise ThriftError("cut short")
    for _ in range(size):
        for kind in kinds:
            _, at = _value(data, at, kind, _NO_LISTS, depth + 1)
    return at
