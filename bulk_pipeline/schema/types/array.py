"""Arrays of any type and number of dimensions: nested lists of Arrow, in files JSON arrays.

An array of Postgres is rectangular, and without elements it has no dimension. The text of an element is read by the
codec of its type, all elements of a column together.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import NOTHING, big_endian, packed, sized
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.arrow.text import json_escaped
from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

OIDS = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "json": 114,
    "real": 700,
    "double precision": 701,
    "character": 1042,
    "bpchar": 1042,
    "character varying": 1043,
    "date": 1082,
    "time without time zone": 1083,
    "timestamp without time zone": 1114,
    "timestamp with time zone": 1184,
    "interval": 1186,
    "time with time zone": 1266,
    "numeric": 1700,
    "uuid": 2950,
    "jsonb": 3802,
}
"""Object identifiers of the types that COPY may send inside of arrays, by family (pg_type.dat); others have none that
is the same in every database."""

_BARE = r"\A(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false)\z"
_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?"
_PLAIN = rf"\A\[({_NUMBER}(,{_NUMBER})*)?\]\z"
_SHOWN = 80
_HAS_NULL = 1  # it may; Postgres looks for itself


class ArrayCodec(Codec):
    def __init__(self, column: Column, codec: Codec, element: Column) -> None:
        """`codec`: of the elements, which are cells of the column `element`."""
        self._codec, self._element = codec, element
        self._dimensions = column.type.dimensions or 1
        self._has_nulls = column.null_elements
        self.arrow = _nested(codec.arrow, self._dimensions)
        family = element.type.family.name
        self.is_binary = codec.is_binary and family in OIDS
        self._oid = OIDS.get(family, 0)
        self.server_type = codec.server_type and column.type.facts.postgres

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        lists, wrong = self._read(text, has_nulls=self._has_nulls)
        leaves = _leaves(lists)
        typed = self._codec.from_text(self._element, leaves)
        problem_of = {"type": wrong}
        owners = np.repeat(np.arange(len(text)), np.prod(_lengths(lists), axis=0))
        for kind, rows in self._problems(leaves, typed).items():
            problem_of.setdefault(kind, np.zeros(len(text), bool))[owners[rows]] = True
        values = _relisted(lists, typed.values)
        bad = np.logical_or.reduce([*problem_of.values(), pc.is_null(text).to_numpy(zero_copy_only=False)])
        return TypedColumn(without(values, bad), problems(**problem_of))

    def _problems(self, leaves: pa.Array, typed: TypedColumn) -> dict[str, np.ndarray]:
        """The problems of elements, also those that only checks of whole columns find in other cells."""
        facts = self._element.type.facts
        elements = dict(typed.problems)
        if not (facts.is_text or facts.empty_is_value):
            elements["type"] = elements.get("type", False) | mask(pc.equal(leaves, ""))
        if facts.is_text:
            elements["nul"] = mask(pc.match_substring(leaves, "\0"))
        if facts.max_length is not None:
            elements["element_length"] = mask(pc.greater(pc.utf8_length(leaves), facts.max_length))
        return elements

    def _read(self, text: pa.Array, *, has_nulls: bool) -> tuple[pa.Array, np.ndarray]:
        """Nested lists of the texts of elements, empty ones for NULL, and which of the texts are no such array."""
        if self._dimensions == 1 and (lists := _plain_lists(text)) is not None:
            return lists, np.zeros(len(text), bool)
        shapes, leaves, wrong = list[tuple[int, ...]](), list[str | None](), np.zeros(len(text), bool)
        for row, cell in enumerate(text.to_pylist()):
            shape, elements = (), list[str | None]()
            if cell is not None:
                try:
                    shape = _flatten(_DECODER.decode(cell), self._dimensions, elements)
                    if (not has_nulls and None in elements) or ("\\u" in cell and _has_half_pair(elements)):
                        raise ValueError(cell)
                except (ValueError, RecursionError):
                    wrong[row], shape, elements = True, (), []
            shapes.append(shape)
            leaves += elements
        return _assembled(shapes, pa.array(leaves, pa.string()), self._dimensions), wrong

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        leaves = _leaves(cells := self._lists(cells))
        is_text = pa.types.is_string(leaves.type) and leaves.type != self._codec.arrow
        written = leaves if is_text else self._codec.to_text(self._element, leaves)
        quoted = pc.binary_join_element_wise('"', json_escaped(written), '"', "")
        if self._element.type.facts.is_bare_in_json and not self._element.type.facts.is_json:
            quoted = pc.if_else(pc.match_substring_regex(written, _BARE), written, quoted)
        return _joined(cells, pc.fill_null(quoted, "null"), "[]")

    def to_literal(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return arrays as Postgres writes them: `{{1,2},{3,NULL}}`, with every element in quotes."""
        return _literals(cells, self._codec.to_literal(self._element, _leaves(cells)))

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        leaves = self._codec.canonical(self._element, _leaves(cells))
        return _literals(cells, leaves)

    def to_parquet(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return nested lists. Raises `UnwritableValueError` for an element that Arrow's type does not hold."""
        cells = self._lists(cells)
        leaves = _leaves(cells)
        if leaves.type == self._codec.arrow:
            return cells
        typed = self._codec.from_text(self._element, leaves)
        if typed.problems:
            at = int(np.flatnonzero(np.logical_or.reduce([*typed.problems.values()]))[0])
            raise UnwritableValueError(
                f"{column.name} holds {leaves[at].as_py()!r}, which is not {self._element.type.facts.expected} of the "
                "years and numbers that imports take: leave such rows out by a filter, or export to csv"
            )
        return _relisted(cells, typed.values)

    def from_parquet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        leaves, depth = cells, 0
        while pa.types.is_list(leaves.type) or pa.types.is_large_list(leaves.type):
            leaves, depth = pc.list_flatten(leaves), depth + 1
        if depth != self._dimensions or pa.types.is_nested(leaves.type):
            return None
        written = self._codec.from_parquet(self._element, leaves)
        if written is None:
            written = leaves.cast(pa.string())
        quoted = pc.fill_null(pc.binary_join_element_wise('"', json_escaped(written), '"', ""), "null")
        return _joined(cells, quoted, "[]")

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        """Return the arrays as `array_recv` reads them; an empty one has no dimension."""
        fields = pc.binary_join_element_wise(*self._codec.to_copy(_leaves(cells)), NOTHING)
        contents = _joined(cells, fields, "")
        lengths = _lengths(cells)
        heads = np.zeros((len(cells), 12 + 8 * self._dimensions), np.uint8)
        heads[:, :12] = np.array([self._dimensions, _HAS_NULL, self._oid], ">i4").view(np.uint8)
        for level, length in enumerate(lengths):
            heads[:, 12 + 8 * level : 16 + 8 * level] = big_endian(pa.array(length), ">i4")
            heads[:, 19 + 8 * level] = 1  # its lower bound
        empty = pa.scalar(np.array([0, 0, self._oid], ">i4").tobytes())
        heads_or_empty = pc.if_else(pa.array(lengths[0] == 0), empty, packed(heads))
        joined = pc.binary_join_element_wise(heads_or_empty, contents, NOTHING)
        return sized(pc.if_else(pc.is_null(cells), pa.scalar(None, pa.binary()), joined))

    def _lists(self, cells: pa.Array) -> pa.Array:
        """Cells from the database are JSON arrays of the texts of elements."""
        if not pa.types.is_string(cells.type):
            return cells
        lists, wrong = self._read(cells, has_nulls=True)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise UnwritableValueError(
                f"{self._element.name} holds an array of other dimensions than the {self._dimensions} that are "
                f"declared, {cells[at].as_py()[:_SHOWN]}: declare them, like integer[][]"
            )
        return without(lists, pc.is_null(cells).to_numpy(zero_copy_only=False))


def _plain_lists(text: pa.Array) -> pa.Array | None:
    """The usual column: numbers without blanks, which a split can take apart; None if any cell is something else."""
    if not mask(pc.fill_null(pc.match_substring_regex(text, _PLAIN), True)).all():
        return None
    parts = pc.split_pattern(pc.utf8_slice_codeunits(pc.fill_null(text, "[]"), 1, -1), ",")
    leaves = pc.list_flatten(parts)
    lengths = np.where(mask(pc.equal(pc.fill_null(text, "[]"), "[]")), 0, _lengths_of(parts))
    return _lists_of(lengths, leaves.filter(pc.not_equal(leaves, "")))


def _flatten(value: Any, dimensions: int, elements: list[str | None]) -> tuple[int, ...]:
    """Append the elements of an array, and return its shape. Raises `ValueError` for what is no array of Postgres."""
    if not isinstance(value, list):
        raise ValueError(value)
    if dimensions == 1:
        elements += [item if item.__class__ is str else _element(item) for item in value]
        return (len(value),) if value else ()
    shapes = {_flatten(part, dimensions - 1, elements) for part in value}
    if len(shapes) > 1 or () in shapes:
        raise ValueError(value)
    return (len(value), *shapes.pop()) if value else ()


def _element(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise ValueError(value)


def _has_half_pair(elements: Sequence[str | None]) -> bool:
    return any("\ud800" <= character <= "\udfff" for element in elements for character in element or "")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


def _nested(type_: pa.DataType, dimensions: int) -> pa.DataType:
    return type_ if dimensions == 0 else pa.list_(_nested(type_, dimensions - 1))


def _assembled(shapes: Sequence[tuple[int, ...]], elements: pa.Array, dimensions: int) -> pa.Array:
    """Nested lists of the shapes, which hold the elements in their order; none of them is NULL."""
    known = [shape or (0,) * dimensions for shape in shapes]
    for level in range(dimensions - 1, -1, -1):
        lengths = np.repeat([shape[level] for shape in known], [prod(shape[:level]) for shape in known])
        elements = _lists_of(lengths, elements)
    return elements


def _lists_of(lengths: np.ndarray, values: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _levels(cells: pa.Array) -> Iterator[pa.Array]:
    """The lists of each level, from the cells to the innermost."""
    while pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        yield cells
        cells = pc.list_flatten(cells)


def _leaves(cells: pa.Array) -> pa.Array:
    return pc.list_flatten(list(_levels(cells))[-1])


def _relisted(cells: pa.Array, elements: pa.Array) -> pa.Array:
    """The lists with other elements."""
    for lists in reversed(list(_levels(cells))):
        elements = _lists_of(_lengths_of(lists), elements)
    return without(elements, pc.is_null(cells).to_numpy(zero_copy_only=False))


def _joined(cells: pa.Array, texts: pa.Array, brackets: str) -> pa.Array:
    """Texts of whole arrays, from those of their elements; without brackets, the bytes of the elements in a row."""
    nothing, comma = (NOTHING, NOTHING) if not brackets else ("", ",")
    for lists in reversed(list(_levels(cells))):
        texts = pc.binary_join(_lists_of(_lengths_of(lists), texts), comma)
        if brackets:
            texts = pc.binary_join_element_wise(brackets[0], texts, brackets[1], nothing)
    return pc.if_else(pc.is_null(cells), pa.scalar(None, texts.type), texts)


def _literals(cells: pa.Array, elements: pa.Array) -> pa.Array:
    escaped = pc.replace_substring_regex(elements, r'([\\"])', r"\\\1")
    return _joined(cells, pc.fill_null(pc.binary_join_element_wise('"', escaped, '"', ""), "NULL"), "{}")


def _lengths_of(lists: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)


def _lengths(cells: pa.Array) -> list[np.ndarray]:
    """The length of each cell in each dimension."""
    found = list[np.ndarray]()
    first = np.arange(len(cells))
    for lists in _levels(cells):
        lengths = np.append(_lengths_of(lists), 0)
        found.append(lengths[first])
        first = np.where(
            found[-1] > 0, np.concatenate([[0], np.cumsum(lengths)])[first], len(pc.list_flatten(lists))
        )
    return found
