"""A row above a limit is rejected, a file above one is refused, with the size, the limit and its setting."""

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline.settings import UploadSettings
from bulk_pipeline.stages.failures import Code
from bulk_pipeline_tests.unit.stages.parse.reading import opened, read


def test_the_settings_are_the_bounds_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    assert UploadSettings().limits == DEFAULT_LIMITS
    monkeypatch.setenv("BULK_MAX_COLUMNS", "7")
    assert UploadSettings().limits == Limits(columns=7)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("piece", [700, 1 << 20])
def test_a_line_longer_than_a_row_may_be_is_one_rejected_row(end: bytes, piece: int) -> None:
    lines = [
        b"email,city",
        b"a@b.co,Rome",
        b"b@b.co," + b"x" * 300_000,
        b"c@b.co,Oslo",
        b"y" * 150_000,
        b"d@b.co,Ulm",
    ]
    result = read(end.join([*lines, b""]), limits=Limits(row_bytes=100_000), piece=piece)
    assert result.rows == {1: ("a@b.co", "Rome"), 3: ("c@b.co", "Oslo"), 5: ("d@b.co", "Ulm")}
    message = "is longer than a row may be, the limit is 100,000 (BULK_MAX_ROW_BYTES)"
    assert result.failures == [(2, 3, None, "too_long", message), (4, 5, None, "too_long", message)]
    assert {row: len(raw) for row, raw in result.raw.items()} == {1: 11, 2: 65_536, 3: 11, 4: 65_536, 5: 10}


def test_a_line_as_long_as_a_row_may_be_is_read() -> None:
    line = b"b@b.co," + b"x" * 93
    assert read(b"email,city\n" + line + b"\r\n", limits=Limits(row_bytes=100)).rows == {
        1: ("b@b.co", "x" * 93)
    }
    assert read(b"email,city\n" + line + b"\r\n", limits=Limits(row_bytes=99)).rows == {}


def test_a_row_of_very_many_cells_is_rejected_whether_they_are_quoted_or_not() -> None:
    text = b"email,city\na@b.co,Rome\n" + b"," * 50_000 + b"x\n" + b'"",' * 50_000 + b"x\nb@b.co,Oslo\n"
    result = read(text)
    assert result.rows == {1: ("a@b.co", "Rome"), 4: ("b@b.co", "Oslo")}
    limit = "the limit is 10,000 (BULK_MAX_COLUMNS)"
    assert result.failures == [
        (2, 3, None, Code.MALFORMED_ROW, "has 50001 cells, expected 2"),
        (3, 4, None, Code.MALFORMED_ROW, f"has more than 10,000 cells: of columns, {limit}"),
    ]


@pytest.mark.parametrize("table", ["customers", None])
def test_more_columns_and_longer_names_than_the_bounds_are_refused(table: str | None) -> None:
    wide = ",".join(["email", *(f"c{i}" for i in range(10_000))]).encode() + b"\n"
    with pytest.raises(FileError, match=r"the limit is 10,000 \(BULK_MAX_COLUMNS\)"):
        read(wide, table=table)
    with pytest.raises(FileError, match=r"has 1,001 bytes, the limit is 1,000 \(BULK_MAX_NAME_BYTES\)"):
        read(b"email," + b"x" * 1001 + b"\na@b.co,Rome\n", table=table)


def test_a_first_line_longer_than_a_row_may_be_is_refused() -> None:
    with pytest.raises(FileError, match="the first line is longer than a row may be"):
        read(b"x" * 3_000_000, limits=Limits(row_bytes=2_000_000))


def test_files_that_become_very_many_bytes_are_refused_in_any_packing() -> None:
    rows = b"email,city\n" + b"a,b\n" * 300_000
    with pytest.raises(FileError, match=r"become over .*: looks like a compression bomb.*BULK_MAX_RATIO"):
        read(rows, limits=Limits(ratio=4, ratio_from_bytes=1_000_000))


def test_the_windows_of_short_lines_are_cut_by_their_number() -> None:
    header = b"id,email,first_name,last_name,phone,city,created_at,updated_at\n"
    chunks = list(opened(header + b",a@b.co,,,,Rome,,\n" * 400 + b"x\n" * 600_000))
    assert max(chunk.raw.num_rows for chunk in chunks) <= 65_536
    assert sum(chunk.failures.num_rows for chunk in chunks) == 600_000
