"""Converts the stored value of a cell to text, or to a flaw if it has no usable value."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import pyarrow as pa

from bulk_pipeline.schema import invisible
from bulk_pipeline.stages.failures import Code, FailureCode
from bulk_pipeline.stages.parse.cells import bad_character, shown

ERRORS = pa.array(
    ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#GETTING_DATA", "#SPILL!", "#CALC!"]
)
"""The texts that cells show for a failed formula."""

_ESCAPED = re.compile("(?:_x[0-9A-Fa-f]{4}_)+")
_EXACT_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Flaw:
    """A cell without a usable value. `shown` is the text that people see; `problem` completes a sentence that begins
    with the name of the column."""

    shown: str
    problem: str
    code: FailureCode = Code.BAD_TYPE


Cell = str | Flaw | None


class StoredValue(str):
    """The text of a cell that is no text: a number, a time or a boolean."""

    __slots__ = ()


def as_stored(cell: Cell) -> Cell:
    """Return the text of a value, marked as such."""
    return StoredValue(cell) if isinstance(cell, str) else cell


@lru_cache(100)
def error(name: str) -> Flaw:
    """Return the flaw of a cell that shows `#N/A`, `#REF!` or another error of a formula."""
    name = shown(name)
    return Flaw(name, f"shows {name}: an error of the spreadsheet's formula; correct it there")


WITHOUT_VALUE = Flaw(
    "",
    "has a formula whose value the file does not hold: open it in a spreadsheet program, save it and import it again",
)


def text(value: str) -> Cell:
    """Return a text without blanks around it."""
    cell = exact_text(value)
    return (cell.strip(invisible.BLANKS) or None) if isinstance(cell, str) else cell


def exact_text(value: str) -> str | Flaw:
    """Return a text. XML writes characters that it cannot hold as `_x000D_`."""
    if "_x" in value:
        value = _ESCAPED.sub(_unescaped, value)
        problem = bad_character(value, "UTF-16")
        if problem is not None:
            return Flaw(shown(value), problem, Code.BAD_ENCODING)
    return value


def number(value: str) -> Cell:
    """Return a number as people write it, without exponent and without `.0`."""
    if (
        value.isdigit()
        and value.isascii()
        and len(value) <= _EXACT_DIGITS
        and (value[0] != "0" or value == "0")
    ):
        return value
    try:
        parsed = float(value)
    except ValueError:
        return not_a_number(value)
    if "_" in value or parsed - parsed != 0:  # infinity or NaN
        return not_a_number(value)
    if not parsed.is_integer():
        digits = repr(parsed)
        return digits if "e" not in digits else format(Decimal(digits), "f")
    if abs(parsed) >= 10**_EXACT_DIGITS:
        return too_long(parsed)
    return str(int(parsed))


def not_a_number(value: str) -> Flaw:
    return Flaw(shown(value), f"'{shown(value)}' is stored as a number, but is none")


def too_long(value: float) -> Flaw:
    whole = str(int(value)) if abs(value) < 1e30 else repr(value)
    return Flaw(
        whole,
        f"'{whole}' has more than {_EXACT_DIGITS} digits, and a spreadsheet keeps no more of a number: format the "
        "column as text and enter the value again",
        Code.SPREADSHEET_DAMAGE,
    )


def _unescaped(match: re.Match[str]) -> str:
    units = [int(unit[:4], 16) for unit in match[0].split("_x")[1:]]
    octets = b"".join(unit.to_bytes(2, "little") for unit in units)
    return octets.decode("utf-16-le", "surrogatepass")
