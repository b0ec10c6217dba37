"""Detects delimiter, quote and escape from the beginning of a delimited file, as far as they are not declared.

For a table, the delimiter is the one with which the earliest line names all required columns, else the one with which
a line names most columns. Without a table, it is the one that cuts most lines into the same number of cells. A quote
other than `"` and a backslash escape need evidence.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import islice

from bulk_pipeline.limits import DEFAULT_LIMITS
from bulk_pipeline.schema import NOTHING_DECLARED, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv.syntax import Plan, Syntax
from bulk_pipeline.stages.parse.csv.tolerant import Reader

SAMPLE_BYTES, SAMPLE_LINES = 256 << 10, 500
HEADER_LINES = 100
"""Number of lines searched for a table's header."""

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
_DOUBLED_WEIGHT = 1.5  # above that of the single character, which would cut an empty cell inside each pair
_LINE_START = 4096
_DOUBLE_QUOTED = re.compile(rb'(?:^|[,;|\t :^~])[ \t]{0,8}"[^"]')
_SINGLE_QUOTED = re.compile(rb"(?:^|[,;|\t ^~])[ \t]{0,8}'[^',;|\t]?[^'\n]*'[ \t]{0,8}(?=$|[,;|\t ^~])")
_LINE_END = re.compile(rb"\r\n|\n|\r")


def detect(
    head: bytes,
    names: ColumnNames | None,
    required: Collection[str] = (),
    declared: UploadFormat = NOTHING_DECLARED,
) -> Syntax:
    lines = sample_lines(head)
    delimiter = declared.delimiter.encode() if declared.delimiter else None
    quote = _quote(lines, delimiter) if declared.quote is None else declared.quote.encode()
    if delimiter is None and names is not None:
        delimiter = _by_header(lines, quote, names, required)
    if delimiter is None:
        delimiter = _by_widths(lines, quote)
    syntax = Syntax(delimiter, quote)
    escaped = Syntax(delimiter, quote, b"\\")
    if quote and b"\\" + quote in head[:SAMPLE_BYTES]:
        repaired = _unpaired_lines(lines, syntax) - _unpaired_lines(lines, escaped)
        if repaired > sum(_doubles(line, quote) for line in lines) and _count_unusual_records(
            head, escaped
        ) < _count_unusual_records(head, syntax):
            return escaped
    return syntax


def sample_lines(head: bytes) -> list[bytes]:
    """Return the physical lines that are not blank, without a last one that may be cut off, unless it is alone."""
    sample = head[:SAMPLE_BYTES]
    lines = [line for line in islice(_LINE_END.split(sample), SAMPLE_LINES) if line.strip()]
    cut = len(head) > SAMPLE_BYTES and len(lines) > 1 and sample.endswith(lines[-1])
    return lines[:-1] if cut else lines


def cells_of(line: bytes, syntax: Syntax) -> list[bytes | None] | None:
    """Return the cells of a single line, or None if its quotes do not pair up."""
    return _reader(line, syntax).loose(0)[0]


def widths(lines: Sequence[bytes], syntax: Syntax) -> list[int]:
    """Return the number of cells of each line, 0 if its quotes do not pair up."""
    return [len(cells) if (cells := cells_of(line, syntax)) is not None else 0 for line in lines]


def usual_width(line_widths: Sequence[int]) -> int:
    counts = Counter(width for width in line_widths if width)
    return max(counts, key=lambda width: (counts[width], width), default=1)


def _quote(lines: Sequence[bytes], delimiter: bytes | None) -> bytes:
    """Return the apostrophe if whole cells stand between apostrophes and none between double quotes, else `"`."""
    if delimiter and delimiter.startswith(b"'"):
        return b'"'
    starts = [line[:_LINE_START] for line in lines]
    double = sum(len(_DOUBLE_QUOTED.findall(line)) for line in starts if b'"' in line)
    single = sum(len(_SINGLE_QUOTED.findall(line)) for line in starts if b"'" in line)
    return b"'" if double == 0 and single >= max(2, len(lines) // 2) else b'"'


def is_like_the_next(widths: Sequence[int], at: int) -> bool:
    """Return True if one of the next lines is as wide as this one, so that it may be their header and is no title."""
    below = widths[at + 1 : at + 1 + _NEXT_LINES]
    return not below or widths[at] in below


def _by_header(
    lines: Sequence[bytes], quote: bytes, names: ColumnNames, required: Collection[str]
) -> bytes | None:
    best, most, last = None, 0, len(lines[:HEADER_LINES])
    for delimiter in _candidates(lines[:HEADER_LINES], quote):
        syntax = Syntax(delimiter, quote)
        for at, line in enumerate(lines[:last]):
            if line.count(delimiter) < min(most, max(1, len(required) - 1)):
                continue  # too few cells to be better than `best`; reading a line costs 20 µs
            known = names.known(map(as_text, cells_of(line, syntax) or []))
            if len(known) > 1 and known.issuperset(required) and _is_header(lines, at, syntax):
                best, most, last = delimiter, len(known), at  # only an earlier one would be better
                break
            if len(known) > most and last == len(lines[:HEADER_LINES]) and delimiter in line.strip():
                best, most = delimiter, len(known)
    if best is None and any(names.known([as_text(line.strip())]) for line in lines[:last]):
        return b","  # one column: no character in its texts is a delimiter
    return best


def _is_header(lines: Sequence[bytes], at: int, syntax: Syntax) -> bool:
    return is_like_the_next(widths(lines[at : at + 1 + _NEXT_LINES], syntax), 0)


def _by_widths(lines: Sequence[bytes], quote: bytes) -> bytes:
    best, most = b",", 0.0
    for delimiter in _candidates(lines, quote):
        line_widths = widths(lines, Syntax(delimiter, quote))
        usual = usual_width(line_widths)
        share = line_widths.count(usual) / len(line_widths)
        score = share * share * (1 - 1 / usual) * _WEIGHTS.get(delimiter, _DOUBLED_WEIGHT)
        if score > most:
            best, most = delimiter, score
    return best


def _candidates(lines: Sequence[bytes], quote: bytes) -> list[bytes]:
    text = b"\n".join(lines)
    singles = [single for single in _WEIGHTS if single in text]
    doubles = [double for double in _DOUBLED if _is_always_doubled(double, lines)]
    return [delimiter for delimiter in (*doubles, *singles) if delimiter[:1] != quote]


def _is_always_doubled(double: bytes, lines: Sequence[bytes]) -> bool:
    if not lines or double not in lines[0]:
        return False
    within = [line for line in lines if double[:1] in line]
    exact = sum(line.count(double) * 2 == line.count(double[:1]) for line in within)
    return len(within) > 0.5 * len(lines) and exact > 0.9 * len(within)


def _doubles(line: bytes, quote: bytes) -> bool:
    """Return True if the line writes a quote inside a text as two quotes, so that the file needs no escape."""
    beside = rb"[\w.!?\x80-\xff]"
    return re.search(b"(?<=%b)%b|%b(?=%b)" % (beside, quote * 2, quote * 2, beside), line) is not None


def _unpaired_lines(lines: Sequence[bytes], syntax: Syntax) -> int:
    return widths(lines, syntax).count(0)


def _count_unusual_records(head: bytes, syntax: Syntax) -> int:
    """Return how many records of the sample, which may span lines, do not have the usual width."""
    sample, record_widths, start = head[:SAMPLE_BYTES], list[int](), 0
    reader = _reader(sample, syntax)
    while start < len(sample) and len(record_widths) < SAMPLE_LINES:
        cells, _, start = reader.loose(start)
        record_widths.append(len(cells or ()))
    return len(record_widths) - record_widths.count(usual_width(record_widths))


def _reader(text: bytes, syntax: Syntax) -> Reader:
    """Return a reader of `text` that expects no header and no width."""
    return Reader(text, Plan(syntax, 0, (), (), (), b"", _ANY_WIDTH), final=True)


def as_text(cell: bytes | None) -> str:
    return (
        "" if cell is None else cell.decode("utf-8", "replace").replace("\0", "\ufffd").removeprefix("\ufeff")
    )
