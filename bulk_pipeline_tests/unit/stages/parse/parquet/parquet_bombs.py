"""Small Parquet files that would take much memory if they were read without limits."""

import io
import random
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline.stages.parse.parquet.thrift import varint

TEXT = "x" * 60_000


def written(columns: dict[str, pa.Array], **options: Any) -> bytes:
    out = io.BytesIO()
    given: dict[str, Any] = {"compression": "zstd", **options}
    parquet.write_table(pa.table(columns), out, **given)
    return out.getvalue()


def shared_text(rows: int) -> bytes:
    """Return a file whose rows share one long text."""
    return written({"email": emails(rows), "last_name": pa.array([TEXT] * rows)})


def wide_names(rows: int, columns: int = 6000) -> bytes:
    """Return a file of thousands of NULL columns with long names."""
    nulls = pa.nulls(rows, pa.string())
    return written({f"c{number}".ljust(200, "x"): nulls for number in range(columns)})


def long_row(rows: int) -> bytes:
    """Return a file with a list of millions of elements, of which it has only the number."""
    lists = pa.ListArray.from_arrays([0, *[1] * (rows - 1), 3_000_000], pa.nulls(3_000_000, pa.string()))
    return written({"email": emails(rows), "tags": lists})


def lists_of_a_shared_text(rows: int) -> bytes:
    """Return a file of lists that repeat one long text: each row has 60 MB."""
    elements = pa.DictionaryArray.from_arrays(pa.array([0] * 1000 * rows, pa.int32()), pa.array([TEXT]))
    lists = pa.ListArray.from_arrays(range(0, 1000 * rows + 1, 1000), elements)
    return written({"email": emails(rows), "tags": lists}, store_schema=False)


def runs(rows: int) -> bytes:
    """Return a file of millions of rows in one run of one level and one run of one value."""
    return written({"a": pa.array([True] * rows), "b": pa.nulls(rows, pa.string())})


def shared_beginnings(rows: int) -> bytes:
    """Return a file of texts that share 59,999 of 60,000 letters with the previous one."""
    texts = pa.array([TEXT + chr(ord("a") + number % 26) for number in range(rows)])
    return written({"email": texts}, use_dictionary=False, column_encoding={"email": "DELTA_BYTE_ARRAY"})


def one_long_text(rows: int, megabytes: int = 60) -> bytes:
    """Return a file with a very long text among short ones, random enough to pass the limit of the ratio."""
    letters = random.Random(1).randbytes(1 << 19).hex()
    texts = [*[f"c{n}@example.com" for n in range(rows - 1)], letters * megabytes]
    return written({"email": texts, "city": ["Ulm"] * rows}, use_dictionary=False)


def emails(rows: int) -> pa.Array:
    return pa.array([f"user{number}@example.com" for number in range(rows)])


def with_rows(data: bytes, rows: int, claimed: int) -> bytes:
    """Return the file with another number of rows in its footer, for the row group and the file."""
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    said = _number(rows)
    assert footer.count(said) >= 2
    footer = footer.replace(said, _number(claimed))
    return data[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def with_page_size(data: bytes, size: int) -> bytes:
    """Return the file with another decompressed size of its first page."""
    assert (
        data[4] == data[6] == 0x15
    )  # numbers of 32 bits: the kind of the page, which has one byte, and its size
    _, at = varint(data, 7)
    return data[:7] + _number(size) + data[at:]


def _number(number: int) -> bytes:
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes(out) + bytes([rest])
