"""Defuses formulas, which a spreadsheet would run, by an apostrophe, and restores them in an import.

The header of a defused export ends with a marker column, which has no values. Only with this column does an import
remove the apostrophes, so that it never changes the texts of other files. errors.csv, which people open and nobody
imports, is always defused.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import first_bytes

MARK = "_defused"
"""The marker column. No column of a table has this name, since theirs begin with a letter."""

_BEGINNINGS = "'=+-@\t\r\n＝＋－＠"
"""Characters that begin a formula in spreadsheets (OWASP, CSV injection), and the apostrophe itself."""
_DANGEROUS = rf"\A[{re.escape(_BEGINNINGS)}]"
_BEGINS_SO = np.zeros(256, bool)
_BEGINS_SO[[beginning.encode()[0] for beginning in _BEGINNINGS]] = True


def defused(cells: pa.Array) -> pa.Array:
    """Return the texts (string, large_string) with an apostrophe before those that begin like a formula or with one."""
    if not _BEGINS_SO[first_bytes(cells)].any():
        return cells
    dangerous = pc.match_substring_regex(cells, _DANGEROUS)
    if not pc.any(dangerous).as_py():
        return cells
    mark, nothing = pa.scalar("'", cells.type), pa.scalar("", cells.type)
    return pc.if_else(dangerous, pc.binary_join_element_wise(mark, cells, nothing), cells)


def restored(cells: pa.StringArray) -> pa.StringArray:
    """Return the texts as they were before `defused`."""
    marked = pc.starts_with(cells, "'")
    if not pc.any(marked).as_py():
        return cells
    return pc.if_else(marked, pc.utf8_slice_codeunits(cells, 1), cells)
