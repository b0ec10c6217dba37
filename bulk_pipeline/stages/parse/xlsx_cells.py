"""What a cell of a sheet comes to: its text, or what stands in the way of one."""

import re
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from bulk_pipeline.schema import invisible
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import bad_character, shown

ERRORS = pa.array(
    ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#GETTING_DATA", "#SPILL!", "#CALC!"]
)
"""What cells show where a formula failed."""

_ESCAPED = re.compile("(?:_x[0-9A-Fa-f]{4}_)+")
_EXACT_DIGITS = 15


@dataclass(frozen=True)
class Flaw:
    """A cell that has no value. `shown`: what people see in it. `problem`: the rest of a sentence about it that
    begins with the name of its column."""

    shown: str
    problem: str
    code: Code = Code.BAD_TYPE


Cell = str | Flaw | None


def error(name: str) -> Flaw:
    """A cell that shows `#N/A`, `#REF!` or the like."""
    return Flaw(name, f"shows {name}: an error of the spreadsheet's formula; correct it there")


WITHOUT_VALUE = Flaw(
    "",
    "has a formula whose value the file does not hold: open it in a spreadsheet program, save it and import it again",
)


def text(value: str) -> Cell:
    """A text without blanks around it. `_x000D_` is how a carriage return is written where XML has none."""
    if "_x" in value:
        value = _ESCAPED.sub(_unescaped, value)
        problem = bad_character(value, "UTF-16")
        if problem is not None:
            return Flaw(shown(value), problem, Code.BAD_ENCODING)
    return value.strip(invisible.BLANKS) or None


def number(value: str) -> Cell:
    """A number as people write it: no exponent, and no `.0`."""
    if (
        value.isdigit()
        and value.isascii()
        and len(value) <= _EXACT_DIGITS
        and (value[0] != "0" or value == "0")
    ):
        return value
    try:
        found = float(value)
    except ValueError:
        return not_a_number(value)
    if "_" in value or found - found != 0:
        return not_a_number(value)
    if not found.is_integer():
        written = repr(found)
        return written if "e" not in written else format(Decimal(written), "f")
    if abs(found) >= 10**_EXACT_DIGITS:
        return too_long(found)
    return str(int(found))


def not_a_number(value: str) -> Flaw:
    return Flaw(shown(value), f"'{shown(value)}' is stored as a number, but is none")


def too_long(value: float) -> Flaw:
    whole = str(int(value)) if abs(value) < 1e30 else repr(value)
    return Flaw(
        whole,
        f"'{whole}' has more than {_EXACT_DIGITS} digits, and a spreadsheet keeps no more of a number: format the "
        "column as text and enter the value again",
    )


def _unescaped(match: re.Match[str]) -> str:
    units = [int(unit[:4], 16) for unit in match[0].split("_x")[1:]]
    octets = b"".join(unit.to_bytes(2, "little") for unit in units)
    return octets.decode("utf-16-le", "surrogatepass")
