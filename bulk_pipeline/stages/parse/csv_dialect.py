"""Tells delimiter, quote and escape from the beginning of a delimited file.

With a table, the delimiter under which the first line names all columns that it requires, else the one under which a
line names most of its columns. Without, the one that cuts most lines into the same number of cells. A quote other
than `"` and a backslash escape need evidence.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import islice

from bulk_pipeline.limits import DEFAULT_LIMITS
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv_plan import Plan, Syntax
from bulk_pipeline.stages.parse.csv_tolerant import Reader

SAMPLE_BYTES, SAMPLE_LINES = 256 << 10, 500
HEADER_LINES = 100
"""How far down a table's header is looked for."""

_NEXT_LINES = 3
_ANY_WIDTH = replace(DEFAULT_LIMITS, columns=1_000_000)

_WEIGHTS = {
    b",": 1.0,
    b";": 1.0,
    b"\t": 1.0,
    b"|": 1.0,
    b"\x1f": 1.0,
    b"\x01": 1.0,
    "§".encode(): 1.0,
    "¦".encode(): 1.0,
    b"^": 0.9,
    b"~": 0.9,
    b"#": 0.5,
    b" ": 0.5,
    b":": 0.4,
}
_DOUBLED = tuple(single * 2 for single in (b",", b";", b"\t", b"|", b":", b"~", b"^"))
_DOUBLED_WEIGHT = 1.5  # above the single one, which sees an empty cell between any two
_LINE_START = 4096
_DOUBLE_QUOTED = re.compile(rb'(?:^|[,;|\t :^~])[ \t]{0,8}"[^"]')
_SINGLE_QUOTED = re.compile(rb"(?:^|[,;|\t ^~])[ \t]{0,8}'[^',;|\t]?[^'\n]*'[ \t]{0,8}(?=$|[,;|\t ^~])")
_LINE_END = re.compile(rb"\r\n|\n|\r")


def detect(head: bytes, names: ColumnNames | None, required: Collection[str] = ()) -> Syntax:
    lines = sample_lines(head)
    quote = _quote(lines)
    delimiter = None if names is None else _by_header(lines, quote, names, required)
    if delimiter is None:
        delimiter = _by_widths(lines, quote)
    syntax = Syntax(delimiter, quote)
    escaped = Syntax(delimiter, quote, b"\\")
    if b"\\" + quote in head[:SAMPLE_BYTES]:
        cured = _troubled(lines, syntax) - _troubled(lines, escaped)
        if cured > sum(_doubles(line, quote) for line in lines) and _odd(head, escaped) < _odd(head, syntax):
            return escaped
    return syntax


def sample_lines(head: bytes) -> list[bytes]:
    """Physical lines that are not blank; a last line that may be cut off is left out unless it is alone."""
    sample = head[:SAMPLE_BYTES]
    lines = [line for line in islice(_LINE_END.split(sample), SAMPLE_LINES) if line.strip()]
    cut = len(head) > SAMPLE_BYTES and len(lines) > 1 and sample.endswith(lines[-1])
    return lines[:-1] if cut else lines


def cells_of(line: bytes, syntax: Syntax) -> list[bytes | None] | None:
    """The cells of a line by itself; None if its quotes do not add up."""
    return _reader(line, syntax).loose(0)[0]


def widths(lines: Sequence[bytes], syntax: Syntax) -> list[int]:
    """Cells per line, 0 where its quotes do not add up."""
    return [len(cells) if (cells := cells_of(line, syntax)) is not None else 0 for line in lines]


def usual_width(found: Sequence[int]) -> int:
    counts = Counter(width for width in found if width)
    return max(counts, key=lambda width: (counts[width], width), default=1)


def _quote(lines: Sequence[bytes]) -> bytes:
    """An apostrophe only where there are whole cells between two of them, and none between double quotes."""
    starts = [line[:_LINE_START] for line in lines]
    double = sum(len(_DOUBLE_QUOTED.findall(line)) for line in starts if b'"' in line)
    single = sum(len(_SINGLE_QUOTED.findall(line)) for line in starts if b"'" in line)
    return b"'" if double == 0 and single >= max(2, len(lines) // 2) else b'"'


def is_like_the_next(widths: Sequence[int], at: int) -> bool:
    """Whether a line may be the header of those below it, and no title: one of the next is as wide."""
    below = widths[at + 1 : at + 1 + _NEXT_LINES]
    return not below or widths[at] in below


def _by_header(
    lines: Sequence[bytes], quote: bytes, names: ColumnNames, required: Collection[str]
) -> bytes | None:
    best, most, last = None, 0, len(lines[:HEADER_LINES])
    for delimiter in _candidates(lines[:HEADER_LINES]):
        syntax = Syntax(delimiter, quote)
        for at, line in enumerate(lines[:last]):
            if line.count(delimiter) < min(most, max(1, len(required) - 1)):
                continue  # too few cells for all that are required, or for more than were found; reading costs 20 µs
            known = names.known(map(as_text, cells_of(line, syntax) or []))
            if len(known) > 1 and known.issuperset(required) and _is_header(lines, at, syntax):
                best, most, last = delimiter, len(known), at  # only an earlier one would be better
                break
            if len(known) > most and last == len(lines[:HEADER_LINES]):
                best, most = delimiter, len(known)
    return best


def _is_header(lines: Sequence[bytes], at: int, syntax: Syntax) -> bool:
    return is_like_the_next(widths(lines[at : at + 1 + _NEXT_LINES], syntax), 0)


def _by_widths(lines: Sequence[bytes], quote: bytes) -> bytes:
    best, most = b",", 0.0
    for delimiter in _candidates(lines):
        found = widths(lines, Syntax(delimiter, quote))
        usual = usual_width(found)
        share = found.count(usual) / len(found)
        score = share * share * (1 - 1 / usual) * _WEIGHTS.get(delimiter, _DOUBLED_WEIGHT)
        if score > most:
            best, most = delimiter, score
    return best


def _candidates(lines: Sequence[bytes]) -> list[bytes]:
    text = b"\n".join(lines)
    singles = [single for single in _WEIGHTS if single in text]
    return [double for double in _DOUBLED if _is_always_doubled(double, lines)] + singles


def _is_always_doubled(double: bytes, lines: Sequence[bytes]) -> bool:
    if not lines or double not in lines[0]:
        return False
    within = [line for line in lines if double[:1] in line]
    exact = sum(line.count(double) * 2 == line.count(double[:1]) for line in within)
    return len(within) > 0.5 * len(lines) and exact > 0.9 * len(within)


def _doubles(line: bytes, quote: bytes) -> bool:
    """Whether a quote inside a text is written as two, so that the file has no use for an escape."""
    beside = rb"[\w.!?\x80-\xff]"
    return re.search(b"(?<=%b)%b|%b(?=%b)" % (beside, quote * 2, quote * 2, beside), line) is not None


def _troubled(lines: Sequence[bytes], syntax: Syntax) -> int:
    return widths(lines, syntax).count(0)


def _odd(head: bytes, syntax: Syntax) -> int:
    """Records of the sample, which may go over several lines, that are not as wide as most of them."""
    sample, found, start = head[:SAMPLE_BYTES], list[int](), 0
    reader = _reader(sample, syntax)
    while start < len(sample) and len(found) < SAMPLE_LINES:
        cells, _, start = reader.loose(start)
        found.append(len(cells or ()))
    return len(found) - found.count(usual_width(found))


def _reader(text: bytes, syntax: Syntax) -> Reader:
    """Of a text by itself, before a header is known."""
    return Reader(text, Plan(syntax, 0, (), (), (), b"", _ANY_WIDTH), final=True)


def as_text(cell: bytes | None) -> str:
    return (
        "" if cell is None else cell.decode("utf-8", "replace").replace("\0", "\ufffd").removeprefix("\ufeff")
    )
