"""Small Parquet files whose rows become large are read in bounded memory, or refused with a sentence."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.parquet.bounds import leaves, rows_at_once
from bulk_pipeline.stages.parse.parquet.levels import RowLengths
from bulk_pipeline_tests.unit.stages.parse.parquet import parquet_bombs as bombs
from bulk_pipeline_tests.unit.stages.parse.reading import opened, read

MOST_MEGABYTES = 600
"""Memory of the process with its imports; a run has about 100 MB more."""

SCRIPT = """
import sys
from pathlib import Path
from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import open_upload

rows, code = 0, "read"
table = tables.get(sys.argv[2]) if len(sys.argv) > 2 else None
try:
    with open(sys.argv[1], "rb") as file:
        for parsed in open_upload(file, "upload.parquet", table=table):
            rows += parsed.raw.num_rows
except FileError as error:
    code = error.code
    print(error, file=sys.stderr)
print(rows, code, int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10)
"""

READ, REFUSED = "read", "too_large"


def reading(path: Path, *table: str) -> tuple[int, str, int]:
    """Return the number of rows read, the code of the error that ended the reading, and the peak in megabytes."""
    command = [sys.executable, "-c", SCRIPT, str(path), *table]
    rows, code, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(rows), code, int(megabytes)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("bomb", "rows", "code"),
    [
        pytest.param(bombs.shared_text, 4096, REFUSED, id="a shared text"),
        pytest.param(bombs.shared_text, 16_384, REFUSED, marks=LONG, id="a shared text in many rows"),
        pytest.param(bombs.wide_names, 24, READ, marks=LONG, id="6,000 long names"),
        pytest.param(bombs.wide_names, 8192, REFUSED, id="6,000 long names in many rows"),
        pytest.param(bombs.long_row, 10, REFUSED, id="one row of millions of values"),
        pytest.param(bombs.lists_of_a_shared_text, 8, REFUSED, id="lists of a shared text"),
        pytest.param(bombs.runs, 10_000_000, REFUSED, id="runs of one value"),
        pytest.param(bombs.shared_beginnings, 4096, REFUSED, id="shared beginnings"),
        pytest.param(bombs.shared_beginnings, 16_384, REFUSED, marks=LONG, id="shared beginnings of many"),
        pytest.param(bombs.one_long_text, 1000, READ, id="one long text"),
    ],
)
def test_a_small_parquet_file_of_large_rows_takes_little_memory(
    tmp_path: Path, bomb: Callable[[int], bytes], rows: int, code: str
) -> None:
    path = tmp_path / "upload.parquet"
    path.write_bytes(bomb(rows))
    result, how, megabytes = reading(path)
    assert (how, result) == (code, rows) if code == READ else how == code and result < rows
    assert megabytes < MOST_MEGABYTES


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(bombs.written({"email": bombs.emails(2000)}), 2000, id="clean"),
        pytest.param(bombs.shared_text(2000), 16, id="a shared text"),
        pytest.param(bombs.shared_beginnings(2000), 16, id="shared beginnings"),
        pytest.param(bombs.lists_of_a_shared_text(10), 1, id="lists of a shared text"),
    ],
)
def test_rows_that_are_read_together_have_a_bound(tmp_path: Path, data: bytes, rows: int) -> None:
    """They can become at most eight times `batch_bytes`."""
    path = tmp_path / "upload.parquet"
    path.write_bytes(data)
    limits = Limits(batch_bytes=8_000_000 if b"tags" in data else 150_000, cell_bytes=60_000)
    result = leaves(path, parquet.read_metadata(path), limits)
    assert rows_at_once(result, 2000, limits) in range(rows // 2, rows + 1)


CLEAN = bombs.written({"email": bombs.emails(12_345)})


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        pytest.param(
            bombs.with_page_size(CLEAN, 2**31 - 1),
            "too_large",
            "a page of email has 2,147,483,647",
            id="huge",
        ),
        pytest.param(
            bombs.with_page_size(CLEAN, -5), "unreadable_file", "-5 is no number of bytes", id="negative"
        ),
        pytest.param(bombs.with_page_size(CLEAN, 5), "unreadable_file", "damaged", id="small"),
        pytest.param(bombs.with_rows(CLEAN, 12_345, 2**40), "too_large", "1,099,511,627,776 rows", id="rows"),
    ],
)
def test_a_file_with_a_false_size_is_refused(data: bytes, code: str, sentence: str) -> None:
    with pytest.raises(FileError, match=sentence) as caught:
        read(data, "upload.parquet")
    assert caught.value.code == code


def test_too_large_a_footer_is_refused() -> None:
    with pytest.raises(
        FileError, match=r"footer .* 2 times BULK_MAX_BATCH_BYTES, 200: write .* larger row groups"
    ):
        read(CLEAN, "upload.parquet", limits=Limits(batch_bytes=100))


def test_slices_keep_rows_and_their_numbers() -> None:
    emails = [f"user{number}@example.com" for number in range(10)]
    names = [None if number % 3 == 0 else "é" * 400 for number in range(10)]
    data = bombs.written({"email": pa.array(emails), "last_name": pa.array(names)})
    chunks = list(opened(data, "upload.parquet", limits=Limits(batch_bytes=2000)))
    assert len(chunks) == 3
    records = pa.Table.from_batches([chunk.records for chunk in chunks])
    assert records["email"].to_pylist() == emails
    assert records["last_name"].to_pylist() == names
    numbers = pa.Table.from_batches([chunk.raw for chunk in chunks]).column(0).to_pylist()
    assert numbers == list(range(1, 11))


def test_a_row_past_a_bound_is_rejected_alone() -> None:
    columns = {
        "email": pa.array(["a@b.co", "b@b.co", "c@b.co", None]),
        "city": pa.array(["Ulm", "x" * 1001, "y" * 900, "Ulm"]),
        "phone": pa.array(["1", "2", "3" * 900, "4"]),
    }
    result = read(bombs.written(columns), "upload.parquet", limits=Limits(cell_bytes=1000, row_bytes=1700))
    assert result.rows == {1: ("a@b.co", "1", "Ulm"), 4: (None, "4", "Ulm")}
    assert result.failures == [
        (2, None, None, "too_long", "has 1,001 bytes in city, the limit is 1,000 (BULK_MAX_CELL_BYTES)"),
        (3, None, None, "too_long", "is longer than a row may be, the limit is 1,700 (BULK_MAX_ROW_BYTES)"),
    ]
    assert result.raw[3].startswith(b'{"email":"c@b.co","city":"yyy')


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_any_batch_size_gives_the_same_rows(encoding: str | None, version: str) -> None:
    rows = 3000
    columns = {
        "email": bombs.emails(rows),
        "tags": pa.array([["a", "bc"][: number % 3] if number % 7 else None for number in range(rows)]),
        "first_name": pa.array([["x" * 300, None, "y"][number % 3] for number in range(rows)]),
    }
    options = {
        "use_dictionary": encoding is None,
        "data_page_version": version,
        "data_page_size": 500,
        "row_group_size": 700,
    }
    if encoding:
        options["column_encoding"] = {"email": encoding, "first_name": encoding}
    data = bombs.written(columns, **options)
    whole, cut = (
        read(data, "upload.parquet", None, limits=limits) for limits in (Limits(), Limits(batch_bytes=20_000))
    )
    assert whole.cells == cut.cells
    assert (whole.raw, whole.failures) == (cut.raw, cut.failures)
    assert [cells[0] for cells in cut.cells] == columns["email"].to_pylist()


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=40) | st.none(), min_size=1, max_size=60),
    st.sampled_from(["1.0", "2.0"]),
)
def test_the_values_of_the_longest_row_are_counted(lists: list[list[int] | None], version: str) -> None:
    longest = max(len(one or "x") or 1 for one in lists)
    data = bombs.written(
        {"a": pa.array(lists, pa.list_(pa.int64()))}, data_page_version=version, data_page_size=60
    )
    for bound in (longest, longest - 1):
        limits = Limits(row_values=bound)
        if bound == longest:
            read(data, "upload.parquet", None, limits=limits)
        elif bound:
            with pytest.raises(FileError, match=f"a row has {longest} values or more in a"):
                read(data, "upload.parquet", None, limits=limits)


def test_levels_that_end_too_early_are_damage() -> None:
    with pytest.raises(IndexError):
        RowLengths(1).add(b"\x03", 8)


def test_a_dictionary_may_be_as_large_as_a_row() -> None:
    """Even if its other texts are small: few rows are read at a time, and batches are joined."""
    texts = ["y" * 200_000, *(f"city {number}" for number in range(5000))]
    data = bombs.written({"city": pa.array(texts)})
    assert [len(cells[0] or "") for cells in read(data, "upload.parquet", None).cells] == [
        len(text) for text in texts
    ]
    assert parquet.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(0).has_dictionary_page
