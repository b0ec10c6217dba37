"""Prepares columns of cells to be shown in failures."""

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.text import CONTROL, held
from bulk_pipeline.stages.failures import MAX_VALUE_LENGTH

_SHOWN_LENGTH = 80


def value(cells: pa.Array, length: int = MAX_VALUE_LENGTH) -> pa.Array:
    """Return the values of failures: at most `length` characters, without NUL, which jsonb cannot hold."""
    if held(cells, "\0"):
        cells = pc.replace_substring(cells, "\0", "\ufffd")
    if (pc.max(pc.binary_length(cells)).as_py() or 0) <= length:
        return cells
    too_long = pc.greater(pc.utf8_length(cells), length)
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(cells, 0, length - 1), "…", "")
    return pc.if_else(too_long, cut, cells)


def shown(cells: pa.Array) -> pa.Array:
    """Return cells to be quoted in a sentence: short, and on one line."""
    short = value(cells, _SHOWN_LENGTH)
    if not held(short, CONTROL + "\x7f"):
        return short
    return pc.replace_substring_regex(short, r"[\x00-\x1f\x7f]+", " ")
