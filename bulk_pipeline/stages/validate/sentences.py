"""How a broken check reads: its failure code, and one sentence for a person, a column of cells at a time."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.frames import word_counts
from bulk_pipeline.schema.invisible import INVISIBLE_CLASS, ORDINARY
from bulk_pipeline.stages.failures import Code, rule_code
from bulk_pipeline.stages.shown import shown
from bulk_pipeline.stages.validate.unseen import named

CODES: dict[str, Code] = {
    "type": Code.BAD_TYPE,
    "precision": Code.BAD_TYPE,
    "range": Code.OUT_OF_RANGE,
    "required": Code.REQUIRED,
    "nul": Code.BAD_ENCODING,
    "invisible": Code.BAD_FORMAT,
    "max_length": Code.TOO_LONG,
    "max_words": Code.TOO_LONG,
    "choices": Code.NOT_ALLOWED,
    "pattern": Code.BAD_FORMAT,
}
"""Problems of `convert` and checks of `schema.frames`, by name."""

_UNSEEN_EDGE = rf"\A[{INVISIBLE_CLASS}{ORDINARY}]|[{INVISIBLE_CLASS}{ORDINARY}]\z"
_PADDED = ": there is a blank or an invisible character before or behind it"
_RIGHT: dict[ColumnType, str] = {
    ColumnType.UUID: "a UUID like 0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70",
    ColumnType.BOOLEAN: "a boolean: use true, false, 1, 0, yes or no",
    ColumnType.TIMESTAMP: "an ISO 8601 date or time like 2026-01-31 or 2026-01-31T23:59:59+02:00",
    ColumnType.TEXT_ARRAY: 'a JSON array of texts like ["a", "b"]',
}


def code(check: str) -> str:
    return CODES[check] if check in CODES else rule_code(check.removeprefix("rule:"))


def sentences(check: str, column: Column, cells: pa.Array) -> pa.Array:
    """One sentence for each of `cells`, which are the column's texts that break `check`."""
    return _SENTENCES[check](column, cells)


def _is_not(column: Column, cells: pa.Array, right: str) -> pa.Array:
    return _join(f"{column.name} '", shown(cells), f"' is not {right}")


def _type(column: Column, cells: pa.Array) -> pa.Array:
    right = _RIGHT[column.type]
    if column.prefix is not None:
        right += f", with or without {column.prefix} before it"
    return _is_not(column, cells, right)


def _precision(column: Column, cells: pa.Array) -> pa.Array:
    return _join(f"{column.name} '", shown(cells), "' is finer than a microsecond: use at most 6 digits")


def _range(column: Column, cells: pa.Array) -> pa.Array:
    return _join(f"{column.name} '", shown(cells), "' is outside the years 0001 to 9999")


def _required(column: Column, cells: pa.Array) -> pa.Array:
    empty = pc.if_else(pc.equal(pc.fill_null(cells, ""), ""), "empty", "blank")
    return _join(f"{column.name} is required, but the cell is ", empty, "")


def _nul(column: Column, cells: pa.Array) -> pa.Array:
    return pa.repeat(f"{column.name} holds a NUL character, which cannot be stored: remove it", len(cells))


def _invisible(column: Column, cells: pa.Array) -> pa.Array:
    before = _join(f"{column.name} '", shown(cells), "' holds an invisible character: ")
    return pc.binary_join_element_wise(before, named(cells), "")


def _max_length(column: Column, cells: pa.Array) -> pa.Array:
    counts = pc.utf8_length(cells).cast(pa.string())
    return _join(f"{column.name} has ", counts, f" characters, at most {column.max_length} are allowed")


def _max_words(column: Column, cells: pa.Array) -> pa.Array:
    counts = word_counts(cells).cast(pa.string())
    return _join(f"{column.name} has ", counts, f" words, at most {column.max_words} are allowed")


def _choices(column: Column, cells: pa.Array) -> pa.Array:
    is_padded = pc.is_in(pc.utf8_trim_whitespace(cells), pa.array(column.choices))
    hint = pc.if_else(is_padded, _PADDED, "")
    return pc.binary_join_element_wise(
        _is_not(column, cells, f"one of {', '.join(column.choices)}"), hint, ""
    )


def _pattern(column: Column, cells: pa.Array) -> pa.Array:
    hint = pc.if_else(pc.match_substring_regex(cells, _UNSEEN_EDGE), _PADDED, "")
    return pc.binary_join_element_wise(_is_not(column, cells, str(column.pattern_name)), hint, "")


def _join(before: str, middle: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, middle, after, "")


_SENTENCES: dict[str, Callable[[Column, pa.Array], pa.Array]] = {
    "type": _type,
    "precision": _precision,
    "range": _range,
    "required": _required,
    "nul": _nul,
    "invisible": _invisible,
    "max_length": _max_length,
    "max_words": _max_words,
    "choices": _choices,
    "pattern": _pattern,
}
