"""The checks of a cell, one object each: its test, its failure code, and its sentences for people.

A check has the name of a field of `Column`, or of a problem that a codec finds. Nulls pass every check but `required`.
Patterns are RE2, the syntax of Arrow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import first_bytes, text_bytes
from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import Column, Table
from bulk_pipeline.schema.bounds import BOUNDS, Bound
from bulk_pipeline.schema.families.times import TIMESTAMPS
from bulk_pipeline.schema.invisible import BLANKS, INVISIBLE_CLASS, ORDINARY
from bulk_pipeline.schema.types.bounds import comparison
from bulk_pipeline.stages.failures import Code, FailureCode, rule_code
from bulk_pipeline.stages.shown import shown
from bulk_pipeline.stages.validate import spreadsheet_damage as damage
from bulk_pipeline.stages.validate.invisible_cells import named
from bulk_pipeline.stages.validate.missing_days import says_missing_day

Kernel = Callable[[pa.ChunkedArray], pa.ChunkedArray]
"""A function from typed cells of a column to a boolean for each, true if it passes."""

Sentences = Callable[[Column, pa.Array], pa.Array]
"""A function that returns a sentence for each of the given cells, texts of the column that fail."""

_NOTHING_SEEN = rf"\A[{INVISIBLE_CLASS}{ORDINARY}]*\z"
_UNSEEN_EDGE = rf"\A[{INVISIBLE_CLASS}{ORDINARY}]|[{INVISIBLE_CLASS}{ORDINARY}]\z"
_MAY_BE_BLANK = np.zeros(256, np.bool_)
_MAY_BE_BLANK[[*range(0x01, 0x21), 0x7F, 0xCD, 0xF0, 0xF3, *{blank.encode()[0] for blank in BLANKS}]] = True
"""A mask of the possible first bytes of a text that is entirely invisible."""
_PADDED = ": there is a blank or an invisible character before or behind it"


@dataclass(frozen=True)
class CellCheck:
    """One possible problem of a cell.

    `sentences`: returns a sentence for each of the given cells, texts of the column that fail the check.
    `kernel`: returns the test that a column of the table needs, or None; the third argument says whether the column is
    required. Codecs find the problems of checks without a kernel.
    `is_final`: a cell that fails is not checked further.
    """

    name: str
    code: FailureCode
    sentences: Sentences
    kernel: Callable[[Table, Column, bool], Kernel | None] = lambda table, column, required: None
    is_final: bool = False


def code_of(check: str) -> str:
    """Return the failure code of a cell check or of a row rule, which is called `rule:<name>`."""
    return CHECKS[check].code if check in CHECKS else rule_code(check.removeprefix("rule:"))


def is_not(column: Column, cells: pa.Array, right: str) -> pa.Array:
    """Return the sentence that a cell is not what is right."""
    return _join(f"{column.name} '", shown(cells), f"' is not {right}")


def _join(before: str, middle: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(before, middle, after, "")


def _not_of_type(column: Column, cells: pa.Array) -> pa.Array:
    right = column.type.facts.expected
    if column.prefix is not None:
        right += f", with or without {column.prefix} before it"
    sentences = is_not(column, cells, right)
    is_dated = column.type.family.name in ("date", *TIMESTAMPS)
    return says_missing_day(column, cells, cells, sentences) if is_dated else sentences


def _too_precise(column: Column, cells: pa.Array) -> pa.Array:
    return _join(f"{column.name} '", shown(cells), f"' {column.type.facts.too_precise}")


def _out_of_range(column: Column, cells: pa.Array) -> pa.Array:
    return _join(f"{column.name} '", shown(cells), f"' is outside {column.type.facts.range}")


def _element_too_long(column: Column, cells: pa.Array) -> pa.Array:
    assert column.type.element is not None
    most = column.type.element.facts.max_length
    return _join(f"{column.name} '", shown(cells), f"' has an element of more than {most} characters")


def _zoned(column: Column, cells: pa.Array) -> pa.Array:
    remedy = "' has the offset of a time zone, which the column does not keep: leave the offset out"
    return _join(f"{column.name} '", shown(cells), remedy)


def _not_finite(column: Column, cells: pa.Array) -> pa.Array:
    remedy = "' is no number: leave the cell empty where there is no value"
    return _join(f"{column.name} '", shown(cells), remedy)


def _presence(table: Table, column: Column, required: bool) -> Kernel | None:
    if not required:
        return None
    return _has_text if column.type.facts.is_text and not column.blank else pc.is_valid


def _has_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return True for texts with a visible character; only the few that begin with a possible blank are searched."""
    kept = mask(pc.not_equal(text, ""))
    places = np.flatnonzero(
        kept & np.concatenate([_MAY_BE_BLANK[_first_bytes(chunk)] for chunk in text.chunks])
    )
    if len(places):
        kept[places] = ~mask(pc.match_substring_regex(text.take(pa.array(places)), _NOTHING_SEEN))
    return pa.chunked_array([kept])


def _first_bytes(text: pa.Array) -> np.ndarray:
    found = first_bytes(text)
    return found if len(found) == len(text) else np.full(len(text), ord("x"), np.uint8)


def _missing(column: Column, cells: pa.Array) -> pa.Array:
    """A cell with a visible text is one of the upload's `null_words`."""
    is_blank = pc.match_substring_regex(cells, _NOTHING_SEEN)
    word = _join("'", shown(cells), "', which is declared to mean no value")
    cell = pc.if_else(pc.equal(pc.fill_null(cells, ""), ""), "empty", pc.if_else(is_blank, "blank", word))
    return _join(f"{column.name} is required, but the cell is ", cell, "")


def _nul(table: Table, column: Column, required: bool) -> Kernel | None:
    return _has_no_nul if column.type.facts.is_text else None


def _has_no_nul(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return True for texts without NUL.

    Searching a million texts of 300 bytes takes 0.5 s; checking their bytes for a zero first takes 0.01 s.
    """
    if all(text_bytes(chunk).all() for chunk in text.chunks):
        return _all(text)
    return pc.invert(pc.match_substring(text, "\0"))


def _holds_nul(column: Column, cells: pa.Array) -> pa.Array:
    return pa.repeat(f"{column.name} holds a NUL character, which cannot be stored: remove it", len(cells))


def _visibility(table: Table, column: Column, required: bool) -> Kernel | None:
    if not column.type.facts.is_text:
        return None
    is_compared = column.pattern is not None or column.choices or column.name in table.key_columns
    return _is_visible if is_compared else None


def _is_visible(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return True for texts without invisible characters. Printable ASCII, the usual case, is not searched."""
    if all((text_bytes(chunk) - np.uint8(0x20) < 0x7F - 0x20).all() for chunk in text.chunks):
        return _all(text)
    return pc.invert(pc.match_substring_regex(text, f"[{INVISIBLE_CLASS}]"))


def _holds_invisible(column: Column, cells: pa.Array) -> pa.Array:
    before = _join(f"{column.name} '", shown(cells), "' holds an invisible character: ")
    return pc.binary_join_element_wise(before, named(cells), "")


def _damage(table: Table, column: Column, required: bool) -> Kernel | None:
    """Test the texts of keys; a pattern or a list of choices tests them better."""
    is_open = column.pattern is None and not column.choices
    if not (column.type.facts.is_text and is_open and damage.is_in_key(column, table)):
        return None
    return _is_whole


def _is_whole(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return True for texts that are no number without its last digits."""
    return pa.chunked_array([~np.concatenate([damage.shortened_numbers(chunk) for chunk in text.chunks])])


def _length(table: Table, column: Column, required: bool) -> Kernel | None:
    if (most := column.max_length) is None:
        return None
    return lambda text: _is_at_most(most, text)


def _is_at_most(max_length: int, text: pa.ChunkedArray) -> pa.ChunkedArray:
    if (pc.max(pc.binary_length(text)).as_py() or 0) <= max_length:
        return _all(text)
    return pc.less_equal(pc.utf8_length(text), max_length)


def _too_long(column: Column, cells: pa.Array) -> pa.Array:
    counts = pc.utf8_length(cells).cast(pa.string())
    return _join(f"{column.name} has ", counts, f" characters, at most {column.max_length} are allowed")


def _words(table: Table, column: Column, required: bool) -> Kernel | None:
    if (most := column.max_words) is None:
        return None
    return lambda text: _has_at_most(most, text)


def _has_at_most(max_words: int, text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return True for texts of at most `max_words` words. Only texts of more than 2n bytes are split, which is slow."""
    places = np.flatnonzero(mask(pc.greater(pc.binary_length(text), 2 * max_words)))
    kept = np.ones(len(text), dtype=bool)
    kept[places] = mask(pc.less_equal(_word_counts(text.take(pa.array(places))), max_words))
    return pa.chunked_array([kept])


def _word_counts(text: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """Return the number of words in each text: runs of characters between Unicode's blanks."""
    return pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text)))


def _too_wordy(column: Column, cells: pa.Array) -> pa.Array:
    counts = _word_counts(cells).cast(pa.string())
    return _join(f"{column.name} has ", counts, f" words, at most {column.max_words} are allowed")


def _choices(table: Table, column: Column, required: bool) -> Kernel | None:
    if not (choices := column.choices):
        return None
    return lambda text: pc.or_kleene(pc.is_null(text), pc.is_in(text, pa.array(choices)))


def _no_choice(column: Column, cells: pa.Array) -> pa.Array:
    is_padded = pc.is_in(pc.utf8_trim_whitespace(cells), pa.array(column.choices))
    hint = pc.if_else(is_padded, _PADDED, "")
    return pc.binary_join_element_wise(is_not(column, cells, f"one of {', '.join(column.choices)}"), hint, "")


def _pattern(table: Table, column: Column, required: bool) -> Kernel | None:
    if (pattern := column.pattern) is None:
        return None
    return lambda text: pc.match_substring_regex(text, rf"\A(?:{pattern})\z")


def _unlike_pattern(column: Column, cells: pa.Array) -> pa.Array:
    hint = pc.if_else(pc.match_substring_regex(cells, _UNSEEN_EDGE), _PADDED, "")
    return pc.binary_join_element_wise(is_not(column, cells, str(column.pattern_name)), hint, "")


def _bounded(bound: Bound) -> CellCheck:
    """Return the check of one bound."""

    def kernel(table: Table, column: Column, required: bool) -> Kernel | None:
        limit = dict(column.bounds).get(bound)
        return None if limit is None else comparison(column, bound, limit)

    def sentences(column: Column, cells: pa.Array) -> pa.Array:
        outside = bound.failure(column.type.facts, dict(column.bounds)[bound])
        return _join(f"{column.name} '", shown(cells), f"' is {outside}")

    return CellCheck(bound.name, Code.OUT_OF_RANGE, sentences, kernel)


def _all(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(True, len(text))])


CHECKS: dict[str, CellCheck] = {
    check.name: check
    for check in (
        CellCheck("type", Code.BAD_TYPE, _not_of_type),
        CellCheck("element_length", Code.TOO_LONG, _element_too_long),
        CellCheck("damage", Code.SPREADSHEET_DAMAGE, damage.sentences, _damage, is_final=True),
        CellCheck("zone", Code.BAD_TYPE, _zoned),
        CellCheck("not_finite", Code.BAD_TYPE, _not_finite),
        CellCheck("precision", Code.BAD_TYPE, _too_precise),
        CellCheck("range", Code.OUT_OF_RANGE, _out_of_range),
        CellCheck("required", Code.REQUIRED, _missing, _presence, is_final=True),
        CellCheck("nul", Code.BAD_ENCODING, _holds_nul, _nul, is_final=True),
        CellCheck("invisible", Code.BAD_FORMAT, _holds_invisible, _visibility, is_final=True),
        CellCheck("max_length", Code.TOO_LONG, _too_long, _length),
        CellCheck("max_words", Code.TOO_LONG, _too_wordy, _words),
        CellCheck("choices", Code.NOT_ALLOWED, _no_choice, _choices),
        CellCheck("pattern", Code.BAD_FORMAT, _unlike_pattern, _pattern),
        *map(_bounded, BOUNDS),
    )
}
"""Every check by name, in the order in which they run: the final ones first."""
