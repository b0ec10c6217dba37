"""Parquet: every type as text, without loss."""

import datetime as dt
import gzip
import io
import re
import struct
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
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
        (pa.array([491701234567.0]), "491701234567"),
        (pa.array([2.0**53 - 1]), "9007199254740991"),
        (pa.array([-0.0]), "0"),
        (pa.array([1e-7]), "0.0000001"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([1e-7], pa.float32()), "0.0000001"),
        (pa.array([16777215.0], pa.float32()), "16777215"),
        (pa.array([np.float16(0.1)]), "0.1"),
        (pa.array([np.float16(2047)]), "2047"),
        (pa.array([True]), "true"),
        (pa.array([Decimal("491701234567.00")], pa.decimal128(20, 2)), "491701234567"),
        (pa.array([Decimal("12345678901234567890")], pa.decimal128(38, 0)), "12345678901234567890"),
        (
            pa.array([Decimal("12345678901234567890123456789012345678901234567890")]),
            "12345678901234567890123456789012345678901234567890",
        ),
        (pa.array([Decimal(10**34)], pa.decimal128(38, 2)), "1" + "0" * 34),
        (pa.array([Decimal("0.0000000012")], pa.decimal128(30, 10)), "0.0000000012"),
        (pa.array([Decimal("0")], pa.decimal128(30, 10)), "0"),
        (pa.array([Decimal("1.10")]), "1.10"),
        (pa.array([Decimal("-12345678901234567890.12")]), "-12345678901234567890.12"),
        (pa.array([dt.date(2024, 5, 3)]), "2024-05-03"),
        (pa.array([2932896], pa.int32()).cast(pa.date32()), "9999-12-31"),
        (pa.array([2932897], pa.int32()).cast(pa.date32()), "10000-01-01"),
        (pa.array([10**7], pa.int32()).cast(pa.date32()), "29349-01-26"),
        (pa.array([-719163], pa.int32()).cast(pa.date32()), "0000-12-31"),
        (pa.array([dt.date(2024, 5, 3)], pa.date64()), "2024-05-03"),
        (pa.array([dt.time(1, 2, 3)]), "01:02:03.000000"),
        (pa.array([MOMENT], pa.timestamp("us")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("s")), "2024-05-03T12:30:15.000000Z"),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([MOMENT], pa.timestamp("us", "+02:00")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([MOMENT.replace(microsecond=7000)], pa.timestamp("ms")), "2024-05-03T12:30:15.007000Z"),
        (pa.array([253402300799], pa.timestamp("s")), "9999-12-31T23:59:59.000000Z"),
        (pa.array([253402300800], pa.timestamp("s")), "10000-01-01T00:00:00.000Z"),
        (pa.array([10**15], pa.timestamp("ms")), "33658-09-27T01:46:40.000Z"),
        (pa.array([2**62], pa.timestamp("us")), "148108-07-06T14:00:27.387904Z"),
        (pa.array([-62135596801], pa.timestamp("s")), "0000-12-31T23:59:59.000Z"),
        (pa.array([-62135596800], pa.timestamp("s", "Asia/Tokyo")), "0001-01-01T00:00:00.000000Z"),
        (pa.array([1], pa.timestamp("us", "Mars/Phobos")), "1970-01-01T00:00:00.000001Z"),
        (pa.array([-1], pa.timestamp("ns")), "1969-12-31T23:59:59.999999999Z"),
        (pa.array([1714739415123456000], pa.timestamp("ns")), "2024-05-03T12:30:15.123456Z"),
        (pa.array([1714739415123456789], pa.timestamp("ns")), "2024-05-03T12:30:15.123456789Z"),
        (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), str(uuid.UUID(int=5))),
    ],
    ids=str,
)
def test_a_value_becomes_text(array: pa.Array, text: str | None) -> None:
    result = read(written({"email": pa.array(["a@b.co"]), "city": array}), "upload.parquet")
    assert (result.column("city"), result.failures, result.lines) == ([text], [], {1: None})


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([2.0**53]), "9007199254740992"),
        (pa.array([-(2.0**53)]), "-9007199254740992"),
        (pa.array([1.2345678901234568e17]), "123456789012345680"),
        (pa.array([1e300]), "1" + "0" * 300),
        (pa.array([491701234567.0], pa.float32()), "491701240000"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([float("inf")]), "inf"),
        (pa.array([float("-inf")], pa.float32()), "-inf"),
        (pa.array([np.float16("nan")]), "nan"),
    ],
    ids=str,
)
def test_a_number_that_cannot_be_exact_is_a_failure_that_shows_it(array: pa.Array, value: str) -> None:
    data = written(
        {"email": pa.array(["a@b.co", "b@b.co"]), "city": pa.concat_arrays([array, pa.nulls(1, array.type)])}
    )
    result = read(data, "upload.parquet")
    assert result.places == [(1, None, "city", "bad_type")]
    assert result.column("city") == [None, None]
    assert f'"city":"{value}"' in result.raw[1].decode()


def test_a_number_that_is_none_is_no_failure_in_a_column_that_is_not_the_tables() -> None:
    data = written({"email": pa.array(["a@b.co"]), "score": pa.array([float("nan")])})
    assert read(data, "upload.parquet").failures == []


def test_numbers_of_32_bits_come_with_a_warning_where_they_may_have_lost_a_digit() -> None:
    data = written({"email": pa.array(["a@b.co"]), "phone": pa.array([30123456.0], pa.float32())})
    result = read(data, "upload.parquet")
    assert (result.column("phone"), result.failures) == (["30123456"], [])
    assert result.warnings == [
        "phone holds 32-bit floating point numbers: whole ones above 16,777,216 may have lost a digit"
    ]


@given(st.lists(st.none() | st.floats(-(2.0**53) + 1, 2.0**53 - 1)))
def test_a_float_is_its_own_text(values: list[float | None]) -> None:
    emails = pa.array([f"u{i}@b.co" for i in range(len(values))], pa.string())
    result = read(written({"email": emails, "city": pa.array(values, pa.float64())}), "upload.parquet")
    assert result.failures == []
    for value, text in zip(values, result.column("city") if values else [], strict=True):
        assert (None if text is None else float(text)) == value
        assert text is None or re.fullmatch(r"-?\d+(\.\d*[1-9])?", text)


def int96(*times: tuple[int, int] | None) -> bytes:
    """Return a file of times as of Spark: nanoseconds of a Julian day. Arrow cannot write distant times."""
    column = pa.array([None if time is None else 0 for time in times], pa.timestamp("ns"))
    emails = pa.array([f"u{i}@b.co" for i in range(len(times))])
    table = {"email": emails, "created_at": column}
    data = written(table, use_deprecated_int96_timestamps=True, compression="none", use_dictionary=False)
    epoch = struct.pack("<qI", 0, 2_440_588)
    assert data.count(epoch * sum(time is not None for time in times)) == 1
    wanted = b"".join(struct.pack("<qI", *time) for time in times if time is not None)
    return data.replace(epoch * (len(wanted) // 12), wanted)


def test_int96_is_read_exactly_however_far_it_is() -> None:
    day = 86_400 * 10**9
    data = int96(
        (day - 10**9, 5_373_476),
        (0, 2_086_303),
        None,
        (25_689_123_456_000, 2_460_437),
        (25_689_123_456_789, 2_460_437),
        (day - 1, 2_440_587),
        (0, 5_373_485),
        (0, 2**31 - 1),
    )
    result = read(data, "upload.parquet")
    assert result.column("created_at") == [
        "9999-12-23T23:59:59.000000Z",
        "1000-01-01T00:00:00.000000Z",
        None,
        "2024-05-06T07:08:09.123456Z",
        "2024-05-06T07:08:09.123456789Z",
        "1969-12-31T23:59:59.999999999Z",
        "10000-01-01T00:00:00.000000Z",
        "5874898-06-03T00:00:00.000Z",
    ]
    assert result.failures == []


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
