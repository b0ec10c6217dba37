"""Formulas that a spreadsheet would run, made harmless by an apostrophe, and made whole again by the import.

An export that this was done to says so: its header ends with a column of its own, which has no values. Only there is an
apostrophe taken off again, so no other file, whatever its texts begin with, is ever changed by an import. errors.csv,
which people open and nobody imports, has it always.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.octets import first_bytes

MARK = "_defused"
"""The column that says so. Tables cannot have one of that name: theirs begin with a letter."""

_BEGINNINGS = "'=+-@\t\r\n＝＋－＠"
"""What spreadsheets take for the beginning of a formula (OWASP, CSV injection), and the apostrophe itself."""
_DANGEROUS = rf"\A[{re.escape(_BEGINNINGS)}]"
_BEGINS_SO = np.zeros(256, bool)
_BEGINS_SO[[beginning.encode()[0] for beginning in _BEGINNINGS]] = True


def defused(cells: pa.Array) -> pa.Array:
    """Texts (string, large_string) that begin like a formula or with an apostrophe get an apostrophe before them."""
    if not _BEGINS_SO[first_bytes(cells)].any():
        return cells
    dangerous = pc.match_substring_regex(cells, _DANGEROUS)
    if not pc.any(dangerous).as_py():
        return cells
    mark, nothing = pa.scalar("'", cells.type), pa.scalar("", cells.type)
    return pc.if_else(dangerous, pc.binary_join_element_wise(mark, cells, nothing), cells)


def restored(cells: pa.StringArray) -> pa.StringArray:
    """The texts as they were before `defused`."""
    marked = pc.starts_with(cells, "'")
    if not pc.any(marked).as_py():
        return cells
    return pc.if_else(marked, pc.utf8_slice_codeunits(cells, 1), cells)
