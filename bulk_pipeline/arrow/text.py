"""Columns of texts: what stands in them, how it is escaped, and records of them. Without a Python object per row."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from bulk_pipeline.arrow.bytes import text_bytes

Bytes = bytes | memoryview | pa.Buffer

CONTROL = "".join(map(chr, range(0x20)))
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def held(cells: pa.Array, characters: str) -> str:
    """Return the ASCII characters that occur in any of the texts (string or large_string), in the order given.

    Looking through the bytes is cheaper than a kernel that finds nothing to replace: with this, and without sorting
    what is sorted, the reports of 1M failures take 2.1 s of CPU instead of 3.3 to 4.0.
    """
    octets = text_bytes(cells)
    least = octets.min(initial=0xFF)
    sought = [character for character in characters if ord(character) >= least]
    if not sought:
        return ""
    whole = octets.tobytes()
    return "".join(character for character in sought if character.encode("ascii") in whole)


def json_escaped(cells: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of JSON."""
    for special in held(cells, '\\"' + CONTROL):  # the backslash first: the others bring new ones
        if special in '\\"':
            cells = pc.replace_substring(cells, special, f"\\{special}")
        else:
            cells = pc.replace_substring(cells, special, _SHORT.get(special, f"\\u{ord(special):04x}"))
    return cells


def decoded(raw: pa.Array) -> pa.Array:
    """Bytes as text (large_string); what is not UTF-8, and NUL, reads as U+FFFD."""
    try:
        texts = raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = pa.array([cell.decode("utf-8", "replace") for cell in raw.to_pylist()], pa.large_string())
    return pc.replace_substring(texts, "\0", "\ufffd") if held(texts, "\0") else texts


def doubled(cells: pa.Array, quote: str = '"', escape: str | None = None) -> pa.Array:
    """Texts as they stand between the quotes of CSV: a quote is doubled, or escaped if the dialect has an escape."""
    if escape is not None and escape != quote:
        cells = pc.replace_substring(cells, escape, escape * 2)
    return pc.replace_substring(cells, quote, (escape or quote) + quote) if held(cells, quote) else cells


def json_parts(cells: pa.Array) -> list[pa.Array | bytes]:
    """Every cell as a JSON string, in parts of a line; NULL as null."""
    escaped = json_escaped(cells)
    if not cells.null_count:
        return [b'"', escaped, b'"']  # which need no copy of the cells
    mark, nothing = pa.scalar('"', escaped.type), pa.scalar("", escaped.type)
    return [pc.fill_null(pc.binary_join_element_wise(mark, escaped, mark, nothing), "null")]


def joined(parts: Iterable[pa.Array | bytes], *, null: bytes = b"") -> Bytes:
    """The parts of each row one after the other, and row after row. `null`: what stands where there is no value."""
    wide = pa.large_binary()  # a batch of long rows, quoted, may pass the 2 GB of plain arrays
    columns = [
        pa.scalar(part, wide) if isinstance(part, bytes) else part.cast(wide) for part in _merged(parts)
    ]
    rows = pc.binary_join_element_wise(
        *columns, pa.scalar(b"", wide), null_handling="replace", null_replacement=null
    )
    return text_bytes(rows).data


def csv_records(columns: Sequence[pa.Array], delimiter: str = ",") -> Bytes:
    """The rows as CSV: RFC 4180 with LF. Every text is quoted, numbers and booleans are not, NULL is nothing."""
    out = pa.BufferOutputStream()
    names = [str(place) for place in range(len(columns))]
    options = csv.WriteOptions(include_header=False, delimiter=delimiter)
    csv.write_csv(pa.RecordBatch.from_arrays(columns, names), out, options)
    return out.getvalue()


def _merged(parts: Iterable[pa.Array | bytes]) -> Iterator[pa.Array | bytes]:
    """Constants that follow each other in one: every part takes its time for every row."""
    for is_constant, group in groupby(parts, lambda part: isinstance(part, bytes)):
        if is_constant:
            yield b"".join(group)
        else:
            yield from group
