"""Parquet: every type as text, without loss."""

import datetime as dt
import gzip
import io
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import read


def written(columns: dict[str, pa.Array], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, **options)
    return out.getvalue()


MOMENT = dt.datetime(2024, 5, 3, 12, 30, 15, 123456)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array(["x "]), "x "),
        (pa.array([""]), ""),
        (pa.array([None], pa.string()), None),
        (pa.array([None]), None),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array(["x"], pa.string_view()), "x"),
        (pa.array([b"x"]), "x"),
        (pa.array([2**63 - 1]), "9223372036854775807"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([0.1]), "0.1"),
        (pa.array([True]), "true"),
        (pa.array([Decimal("1.10")]), "1.10"),
        (pa.array([Decimal("-12345678901234567890.12")]), "-12345678901234567890.12"),
        (pa.array([dt.date(2024, 5, 3)]), "2024-05-03"),
        (pa.array([dt.time(1, 2, 3)]), "01:02:03.000000"),
        (pa.array([MOMENT], pa.timestamp("us")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("s")), "2024-05-03T12:30:15.000000Z"),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([MOMENT], pa.timestamp("us", "+02:00")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([1714739415123456789], pa.timestamp("ns")), "2024-05-03T12:30:15.123456789Z"),
        (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), str(uuid.UUID(int=5))),
    ],
    ids=str,
)
def test_a_value_becomes_text(array: pa.Array, text: str | None) -> None:
    result = read(written({"email": pa.array(["a@b.co"]), "city": array}), "upload.parquet")
    assert (result.column("city"), result.failures, result.lines) == ([text], [], {1: None})


def test_lists_are_json_text_where_the_table_has_arrays() -> None:
    table = {name: pa.array(["x"]) for name in ("id", "slug", "title", "body", "author_id", "status")}
    result = read(written({**table, "tags": pa.array([["a", 'b"']])}), "x.parquet", "articles")
    assert result.column("tags") == ['["a","b\\""]']


@pytest.mark.parametrize("array", [pa.array([{"a": 1}, None]), pa.array([["a"], None])])
def test_a_structure_in_a_column_of_one_value_is_a_failure_of_its_cell(array: pa.Array) -> None:
    result = read(written({"email": pa.array(["a@b.co", "b"]), "city": array}), "upload.parquet")
    assert result.places == [(1, None, "city", "bad_type")]
    assert result.cells == [("a@b.co", None), ("b", None)]


def test_bytes_that_are_no_text_are_a_failure_of_their_cell() -> None:
    result = read(written({"email": pa.array(["a", "b"]), "city": pa.array([b"\xff", b"a\0"])}), "x.parquet")
    assert result.places == [(1, None, "city", "bad_encoding"), (2, None, "city", "bad_encoding")]


def test_failures_come_in_the_order_of_the_rows() -> None:
    table = {"email": pa.array([b"a", b"\xff"]), "city": pa.array([b"\xff", b"\xff"])}
    result = read(written(table), "upload.parquet")
    assert [failure[::2][:2] for failure in result.failures] == [(1, "city"), (2, "email"), (2, "city")]


def test_raw_is_the_whole_record_as_an_object() -> None:
    columns = {"Email": pa.array(["a@b.co"]), "other": pa.array([1.5]), "when": pa.array([MOMENT])}
    result = read(written(columns), "upload.parquet")
    assert result.raw == {1: b'{"Email":"a@b.co","other":"1.5","when":"2024-05-03T12:30:15.123456Z"}'}
    assert result.warnings == ["columns that customers does not have are ignored: other, when"]
    assert result.dialect.as_dict()["header"] == ["Email", "other", "when"]


def test_rows_run_on_over_row_groups() -> None:
    emails = [f"u{i}@b.co" for i in range(5000)]
    data = written({"email": pa.array(emails)}, row_group_size=700)
    assert read(gzip.compress(data), "x.parquet.gz").column("email") == emails


def test_no_rows_are_no_failure() -> None:
    result = read(written({"email": pa.array([], pa.string())}), "x.parquet")
    assert (result.rows, result.columns, result.warnings) == ({}, ("email",), ["the file has no rows"])


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 20]) + data[at + 20 :]


@pytest.mark.parametrize("how", ["cut", "footer", "start only", "page"])
def test_a_damaged_file_stops_with_one_error(how: str) -> None:
    data = written({"email": pa.array([f"u{i}@b.co" for i in range(5000)])}, write_page_checksum=True)
    broken = {
        "cut": data[:-10],
        "footer": damaged(data, len(data) - 60),
        "start only": b"PAR1" + bytes(100),
        "page": damaged(data, 10),
    }[how]
    with pytest.raises(FileError) as caught:
        read(broken, "upload.parquet")
    assert caught.value.code == "unreadable_file"


def test_a_header_that_cannot_be_used_stops_the_file() -> None:
    with pytest.raises(FileError, match="required column email missing: found city"):
        read(written({"city": pa.array(["x"])}), "x.parquet")


def test_a_few_bytes_that_stand_for_very_many_rows_are_refused() -> None:
    data = written({"email": pa.nulls(1_000_000, pa.string())})
    with pytest.raises(FileError, match="hold 1,000,000 rows: looks like a compression bomb"):
        read(data, "x.parquet", limits=Limits(ratio=100, ratio_from_bytes=1000))
