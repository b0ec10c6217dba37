"""Cells in the notation that is declared for an upload: read exactly, or rejected with an example of the notation."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Column, Mode, Table, UploadFormat, column_type, read_format
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

TYPES = {
    "note": "text",
    "pieces": "integer",
    "price": "numeric(9,2)",
    "weight": "double precision",
    "paid": "boolean",
    "day": "date",
    "at": "time",
    "seen": "timestamptz",
    "noon": "timestamp",
}
GERMAN = read_format(
    {
        "null_words": "n/a, -",
        "true_words": "ja, j",
        "false_words": "nein, n",
        "decimal": ",",
        "thousands": ".",
        "date_format": "DD.MM.YYYY",
        "time_format": "HH.mm",
        "timestamp_format": "DD.MM.YYYY HH:mm, DD.MM.YYYY HH:mm:ss",
        "time_zone": "Europe/Berlin",
    }
)
Failed = list[tuple[int, str, str, str]]


def table_of(*names: str, **options: Any) -> Table:
    """Return a table of some of the columns."""
    columns = tuple(Column(name=name, type=column_type.parse(TYPES[name])) for name in names or TYPES)
    return Table(name="t", columns=columns, **options)


def read(data: bytes, table: Table, declared: UploadFormat, name: str = "t.csv") -> tuple[list[Any], Failed]:
    """Return the rows of a file, typed, and failures as (row, column, value, message)."""
    upload = open_upload(io.BytesIO(data), name, table=table, declared=declared)
    rows, failed = list[Any](), Failed()
    for chunk in upload:
        checked = validate(chunk.records, chunk.failures, table, Mode.INSERT_ONLY, format_=upload.declared)
        names = [column for column in checked.rows.schema.names if not column.startswith("_")]
        rows += [tuple(row.values()) for row in checked.rows.select(names).to_pylist()]
        failed += [
            (row["row"], row["column"], row["value"], row["message"])
            for failures in (chunk.failures, checked.failures)
            for row in failures.to_pylist()
        ]
    return rows, failed


def cells(name: str, *texts: str, **declared: str) -> tuple[list[Any], list[str]]:
    """Return the values of cells of one column, and the messages about them."""
    data = "\n".join([f"{name};note", *(f"{text};x" for text in texts)]).encode()
    format_ = read_format(declared)
    rows, failed = read(data, table_of(name, "note"), format_)
    return [row[0] for row in rows], [message for *_, message in failed]


@pytest.mark.parametrize(
    ("name", "cell", "declared", "days"),
    [
        ("day", "31.02.2026", {"date_format": "DD.MM.YYYY"}, 28),
        ("day", " 30.02.2024 ", {"date_format": "DD.MM.YYYY", "trim": "true"}, 29),
        ("day", "31-Apr-2026", {"date_format": "DD.MM.YYYY, D-MMM-YYYY"}, 30),
        ("day", "2026-02-29", {"date_format": "DD.MM.YYYY, ISO"}, 28),
        ("day", "1900-02-29", {}, 28),
        ("noon", "31.06.2026 12:00", {"timestamp_format": "DD.MM.YYYY HH:mm"}, 30),
        ("seen", "2026-09-31T10:00:00Z", {}, 30),
    ],
)
def test_a_day_that_does_not_exist_is_named_in_the_right_notation(
    name: str, cell: str, declared: dict[str, str], days: int
) -> None:
    values, messages = cells(name, cell, **declared)
    assert values == [None]
    sentence = f"{name} '{cell.strip()}' is a day that does not exist: its month has {days} days"
    assert messages == [sentence]


def test_other_cells_of_a_column_with_a_day_that_does_not_exist_have_their_own_sentence() -> None:
    _, messages = cells("day", "31.12.2026", "today", "29.02.2023", "2026-02-31", date_format="DD.MM.YYYY")
    declared = "is not a date like 31.01.2026, the format that is declared for the file: DD.MM.YYYY"
    assert sorted(messages) == [
        f"day '2026-02-31' {declared}",
        "day '29.02.2023' is a day that does not exist: its month has 28 days",
        f"day 'today' {declared}",
    ]


def test_a_cell_of_another_notation_is_rejected_with_an_example_of_the_declared_one() -> None:
    data = (
        b"note;pieces;price;weight;paid;day;at;seen;noon\n"
        b"x;1,5x;1,234.5;0.5;yes;2026-01-31;23:59;31.01.2026;2026-01-31 10:00\n"
    )

    rows, failed = read(data, table_of(), GERMAN)

    assert rows == [("x", *[None] * 8)]
    numbers = "as is declared for the file: decimal ',', thousands '.'"
    times = (
        "a time like 31.01.2026 23:59 or 31.01.2026 23:59:59, one of the formats that are declared for the file: "
        "DD.MM.YYYY HH:mm or DD.MM.YYYY HH:mm:ss"
    )
    assert failed == [
        (1, "pieces", "1,5x", f"pieces '1,5x' is not a whole number like 1.234, {numbers}"),
        (1, "price", "1,234.5", f"price '1,234.5' is not a number like 1.234,56, {numbers}"),
        (1, "weight", "0.5", f"weight '0.5' is not a number like 1.234,56, {numbers}"),
        (
            1,
            "paid",
            "yes",
            "paid 'yes' is not one of the words that are declared for the file: ja or j for true, nein or n for false",
        ),
        (
            1,
            "day",
            "2026-01-31",
            "day '2026-01-31' is not a date like 31.01.2026, the format that is declared for the file: DD.MM.YYYY",
        ),
        (
            1,
            "at",
            "23:59",
            "at '23:59' is not a time of day like 23.59, the format that is declared for the file: HH.mm",
        ),
        (1, "seen", "31.01.2026", f"seen '31.01.2026' is not {times}"),
        (1, "noon", "2026-01-31 10:00", f"noon '2026-01-31 10:00' is not {times}"),
    ]


def test_cells_of_the_declared_notation_are_read_exactly() -> None:
    data = (
        b"note;pieces;price;weight;paid;day;at;seen;noon\n"
        b"x;-1.234.567;1.234,56;,5e-3;JA;29.02.2024;07.30;31.07.2026 12:00;01.02.2026 03:04:05\n"
        b"n/a;-;n/a;-;-;n/a;-;n/a;-\n"
        b"y;1234,0;1234;1.000;nein;01.12.0001;00.00;31.01.2026 12:00:01;31.12.9999 23:59\n"
    )

    rows, failed = read(data, table_of(), GERMAN)

    assert failed == []
    assert rows == [
        (
            "x",
            -1234567,
            Decimal("1234.56"),
            0.0005,
            True,
            date(2024, 2, 29),
            "07:30:00",
            datetime(2026, 7, 31, 10, tzinfo=UTC),
            datetime(2026, 2, 1, 3, 4, 5),
        ),
        (None,) * 9,
        (
            "y",
            1234,
            Decimal("1234.00"),
            1000.0,
            False,
            date(1, 12, 1),
            "00:00:00",
            datetime(2026, 1, 31, 11, 0, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59),
        ),
    ]


@pytest.mark.parametrize(
    ("name", "cell", "declared", "message"),
    [
        ("pieces", "1.23", {"decimal": ",", "thousands": "."}, "a whole number like 1.234"),
        ("pieces", "1234.567", {"decimal": ",", "thousands": "."}, "a whole number like 1.234"),
        (
            "pieces",
            "1.234",
            {"decimal": ","},
            "a whole number like 1234, as is declared for the file: decimal ','",
        ),
        ("pieces", "42,5", {"decimal": ","}, "a whole number like 1234,"),
        ("price", "1.5", {"decimal": ",", "thousands": "."}, "a number like 1.234,56"),
        ("price", "1.234,5,6", {"decimal": ",", "thousands": "."}, "a number like 1.234,56"),
        ("price", "1.234,567.8", {"decimal": ",", "thousands": "."}, "a number like 1.234,56"),
        ("price", "1 234", {"decimal": ","}, "a number like 1234,56"),
        ("price", "0x1F", {"decimal": ","}, "a number like 1234,56"),
        ("price", "1,2,3", {"thousands": ","}, "a number like 1,234.56"),
        ("paid", "1", {"true_words": "ja"}, "one of the words that are declared for the file: ja for true"),
        ("day", "1.2.2026", {"date_format": "DD.MM.YYYY"}, "a date like 31.01.2026"),
        ("day", "01.13.2026", {"date_format": "DD.MM.YYYY"}, "a date like 31.01.2026"),
        ("day", "31.01.26", {"date_format": "DD.MM.YYYY"}, "a date like 31.01.2026"),
        ("day", "31-01-2026", {"date_format": "DD.MM.YYYY"}, "a date like 31.01.2026"),
        ("day", "31.01.2026 ", {"date_format": "DD/MM/YYYY"}, "a date like 31/01/2026"),
        ("at", "13:00 PM", {"time_format": "h:mm A"}, "a time of day like 11:59 PM"),
        ("at", "24:00", {"time_format": "HH:mm"}, "a time of day like 23:59"),
    ],
)
def test_nothing_is_read_in_another_notation(
    name: str, cell: str, declared: dict[str, str], message: str
) -> None:
    values, messages = cells(name, cell, **declared)
    assert values == [None]
    assert len(messages) == 1
    assert f"{name} '{cell.strip()}' is not {message}" in messages[0]


@pytest.mark.parametrize(
    ("name", "cell", "declared", "value"),
    [
        ("price", "1234567.5", {"thousands": ","}, Decimal("1234567.50")),
        ("price", "1,234,567.5", {"thousands": ","}, Decimal("1234567.50")),
        ("price", "1'234’567.5", {"thousands": "'"}, Decimal("1234567.50")),
        ("price", "1 234\u00a0567\u202f890,5", {"decimal": ",", "thousands": "blank"}, None),
        ("price", "1 234\u00a0567,5", {"decimal": ",", "thousands": "blank"}, Decimal("1234567.50")),
        ("price", "+0,5", {"decimal": ","}, Decimal("0.50")),
        ("weight", "1,5E3", {"decimal": ","}, 1500.0),
        ("day", "20260131", {"date_format": "YYYYMMDD"}, date(2026, 1, 31)),
        ("day", "2026年1月5日", {"date_format": "YYYY年M月D日"}, date(2026, 1, 5)),
        ("day", "5-mar-2026", {"date_format": "D-MMM-YYYY"}, date(2026, 3, 5)),
        ("day", "2026-01-31", {"date_format": "DD.MM.YYYY, ISO"}, date(2026, 1, 31)),
        ("day", "5.3.2026", {"date_format": "DD.MM.YYYY, D.M.YYYY"}, date(2026, 3, 5)),
        ("at", "12:05 am", {"time_format": "hh:mm A"}, "00:05:00"),
        ("at", "12:05 PM", {"time_format": "hh:mm A"}, "12:05:00"),
        ("at", "1:05:07.25 PM", {"time_format": "h:mm:ss.S A"}, "13:05:07.25"),
        ("noon", "31.01.2026", {"timestamp_format": "DD.MM.YYYY"}, datetime(2026, 1, 31)),
        (
            "seen",
            "31/01/2026 10:00 +0200",
            {"timestamp_format": "DD/MM/YYYY HH:mm Z"},
            datetime(2026, 1, 31, 8, tzinfo=UTC),
        ),
        ("seen", "2026-07-01 12:00", {"time_zone": "Europe/Berlin"}, datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("seen", "2026-07-01T12:00Z", {"time_zone": "Europe/Berlin"}, datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("seen", "2050-07-01", {"time_zone": "Europe/Berlin"}, datetime(2050, 6, 30, 22, tzinfo=UTC)),
        ("noon", "2026-07-01 12:00", {"time_zone": "Europe/Berlin"}, datetime(2026, 7, 1, 12)),
        ("paid", "ДА", {"true_words": "да", "false_words": "нет"}, True),
    ],
)
def test_every_mark_and_format_has_one_meaning(
    name: str, cell: str, declared: dict[str, str], value: Any
) -> None:
    values, messages = cells(name, cell, **declared)
    assert values == [value]
    assert bool(messages) == (value is None)


def test_a_cell_that_two_declared_formats_read_differently_is_rejected() -> None:
    formats = {"date_format": "DD/MM/YYYY, MM/DD/YYYY"}
    assert cells("day", "04/05/2026", "13/05/2026", "05/05/2026", **formats) == (
        [None, date(2026, 5, 13), date(2026, 5, 5)],
        ["day '04/05/2026' means another time in each of two declared formats: declare one"],
    )


def test_times_that_the_clocks_of_the_zone_skip_or_repeat_are_rejected() -> None:
    values, messages = cells(
        "seen",
        "2026-03-29 01:59",
        "2026-03-29 02:30",
        "2026-03-29 03:00",
        "2026-10-25 01:59",
        "2026-10-25 02:30",
        "2026-10-25 02:30+01:00",
        "2026-10-25 03:00",
        "0001-01-01",
        time_zone="Europe/Berlin",
    )
    assert values == [
        datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
        None,
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 24, 23, 59, tzinfo=UTC),
        None,
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 2, tzinfo=UTC),
        None,
    ]
    assert messages == [
        "seen '2026-03-29 02:30' does not exist in Europe/Berlin, because the clocks are put forward over it: write a "
        "time with its offset, like 2026-01-31T23:59:59+02:00",
        "seen '2026-10-25 02:30' happens twice in Europe/Berlin, because the clocks are put back over it: write the "
        "time with its offset, like 2026-01-31T23:59:59+02:00",
        "seen '0001-01-01' is outside the years 0001 to 9999",
    ]


def test_a_null_word_is_no_value_and_nothing_else_is() -> None:
    declared = read_format({"null_words": '["", "NULL"]', "trim": "true"})
    table = Table(name="t", columns=(Column(name="a", required=True), Column(name="b")))

    rows, failed = read(b'a,b\nNULL,"NULL "\nnull," x "\nc,""\n', table, declared)

    assert rows == [(None, None), ("null", "x"), ("c", None)]
    message = "a is required, but the cell is 'NULL', which is declared to mean no value"
    assert failed == [(1, "a", "NULL", message)]


def test_blanks_in_quotes_stay_unless_trim_is_declared() -> None:
    table = Table(name="t", columns=(Column(name="a", max_length=2), Column(name="b")))
    assert read(b'a,b\n" x ",1\n', table, UploadFormat())[1] == [
        (1, "a", " x ", "a has 3 characters, at most 2 are allowed")
    ]
    assert read(b'a,b\n" x\xc2\xa0",1\n', table, UploadFormat(trim=True)) == ([("x", "1")], [])
    assert read(b'a,b\n" xyz ",1\n', table, UploadFormat(trim=True))[1] == [
        (1, "a", " xyz ", "a has 3 characters, at most 2 are allowed")
    ]


def test_values_that_a_workbook_stores_have_no_notation() -> None:
    rows = [
        ["note", "price", "paid", "day", "seen"],
        ["n/a", 1.234, True, date(2026, 1, 31), datetime(2026, 7, 1, 12)],
        [5, "1.234,5", "nein", "31.01.2026", "01.07.2026 12:00"],
        ["x", "1.23", "false", "2026-01-31", "2026-07-01"],
    ]
    table = table_of("note", "price", "paid", "day", "seen")
    format_ = UploadFormat(date_formats=("DD.MM.YYYY",)).over(GERMAN)

    read_rows, failed = read(workbook(rows), table, format_, "t.xlsx")

    noon = datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert read_rows == [
        (None, None, True, date(2026, 1, 31), noon),
        ("5", Decimal("1234.50"), False, date(2026, 1, 31), noon),
        ("x", None, None, None, None),
    ]
    assert [(row, column, value) for row, column, value, _ in failed] == [
        (1, "price", "1.234"),
        (3, "price", "1.23"),
        (3, "paid", "false"),
        (3, "day", "2026-01-31"),
        (3, "seen", "2026-07-01"),
    ]
    assert failed[0][3] == "price '1.234' has more than 2 digits after the decimal point"


def test_json_and_parquet_have_a_notation_of_their_own() -> None:
    table = table_of("note", "price", "day", "seen")
    data = b'{"note": "n/a", "price": 1.5, "day": "2026-01-31", "seen": "2026-07-01T12:00"}\n'
    assert read(data, table, GERMAN, "t.ndjson") == (
        [("n/a", Decimal("1.50"), date(2026, 1, 31), datetime(2026, 7, 1, 10, tzinfo=UTC))],
        [],
    )


def test_columns_that_the_table_does_not_have_fail_the_upload_where_that_is_declared() -> None:
    table = table_of("note", "price", upload_format=UploadFormat(rejects_extra_columns=True))
    for data, name in (
        (b"note;price;colour\nx;1;red\n", "t.csv"),
        (b'{"note": "x", "colour": 1}\n', "t.json"),
    ):
        with pytest.raises(FileError) as refused:
            read(data, table, UploadFormat(), name)
        assert (refused.value.code, str(refused.value)) == (
            "unknown_column",
            "t does not have the columns colour, and extra_columns: reject is declared: expected columns of t: note, "
            "price; remove them, or declare - for each (--column colour=-)",
        )
    for declared in ({"columns": "colour=-"}, {"extra_columns": "ignore"}):
        assert read(b"note;price;colour\nx;1;red\n", table, read_format(declared))[0] == [
            ("x", Decimal("1.00"))
        ]
    assert read(b"_row;note;price\n1;x;1\n", table, UploadFormat())[0] == [("x", Decimal("1.00"))]


def test_declarations_of_table_and_upload_that_contradict_each_other_fail_the_upload() -> None:
    table = table_of("price", upload_format=UploadFormat(decimal=",", thousands="."))
    with pytest.raises(FileError) as refused:
        read(b"price\n1\n", table, UploadFormat(decimal="."))
    assert (refused.value.code, str(refused.value)) == (
        "bad_declaration",
        "thousands and decimal are both '.': declare another decimal mark, or thousands: none",
    )
    assert read(b"price\n1.5\n", table, read_format({"decimal": ".", "thousands": "none"}))[0] == [
        (Decimal("1.50"),)
    ]


LOCAL_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
ZONES = ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]


@settings(max_examples=20)
@given(
    st.lists(st.decimals(-9_999_999, 9_999_999, places=2), min_size=1), st.sampled_from([".", "'", " ", ""])
)
def test_every_number_is_read_back(numbers: list[Decimal], thousands: str) -> None:
    marks = str.maketrans({",": thousands, ".": ","})
    texts = [f"{number:,}".translate(marks) for number in numbers]
    assert cells("price", *texts, decimal=",", thousands=thousands.replace(" ", "blank") or "none") == (
        numbers,
        [],
    )


@settings(max_examples=20)
@given(st.lists(LOCAL_TIMES, min_size=1), st.sampled_from(ZONES))
def test_every_local_time_is_that_of_the_zone_or_rejected(times: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    values, messages = cells("seen", *(time.isoformat() for time in times), time_zone=name)
    for time, value in zip(times, values, strict=True):
        instants = {time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        meant = {instant for instant in instants if instant.astimezone(zone).replace(tzinfo=None) == time}
        assert value == (meant.pop() if len(meant) == 1 else None)
    assert len(messages) == values.count(None)


@settings(max_examples=20)
@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1))
def test_every_time_is_read_back(times: list[datetime]) -> None:
    texts = [
        f"{t.month}/{t.day}/{t.year:04} {t.hour % 12 or 12}:{t:%M:%S.%f} {'AP'[t.hour // 12]}M" for t in times
    ]
    assert cells("noon", *texts, timestamp_format="M/D/YYYY h:mm:ss.S A") == (times, [])


def test_a_profile_is_a_variation_of_the_table_s_format() -> None:
    acme = UploadFormat(decimal=".", thousands="", columns=(("Cost", "price"), ("Weight", "weight")))
    table = table_of("note", "price", "weight", upload_format=GERMAN, profiles=(("acme", acme),))
    data = b"note,Cost\nn/a,1234.5\n"
    upload = open_upload(io.BytesIO(data), "t.csv", table=table, declared=UploadFormat(profile="acme"))
    assert [row for chunk in upload for row in chunk.records.to_pylist()] == [
        {"_row": 1, "_line": 2, "note": "n/a", "price": "1234.5"}
    ]
    assert upload.warnings == []
    assert read(data, table, UploadFormat(profile="acme"))[0] == [(None, Decimal("1234.50"))]
    assert read(b"note,price\nn/a,1.234\n", table, UploadFormat(profile="export")) == (
        [("n/a", None)],
        [(1, "price", "1.234", "price '1.234' has more than 2 digits after the decimal point")],
    )
    with pytest.raises(FileError, match="t has no profile 'x': expected one of acme, export") as refused:
        read(data, table, UploadFormat(profile="x"))
    assert refused.value.code == "bad_declaration"
