"""Numbers: what is one, what is too large or too fine, and the bytes that COPY sends for it."""

import math
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.numeric import (
    Float4BinaryLoader,
    Float8BinaryLoader,
    Int8BinaryLoader,
)

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline_tests.unit.schema.types.test_from_text import converted

TYPE, RANGE, PRECISION, NOT_FINITE = "<type>", "<range>", "<precision>", "<not_finite>"


def column(type_: str, **options: Any) -> Column:
    return Column(name="a", type=column_type.parse(type_), **options)


def copied(column: Column, *cells: str | None) -> list[bytes | None]:
    """The bytes of each field; None for NULL."""
    values = codec_of(column).from_text(column, pa.array(cells, pa.string())).values
    parts = list(codec_of(column).to_copy(values))
    fields = [b"".join(part[place].as_py() for part in parts) for place in range(len(values))]
    assert all(len(field) - 4 == max(0, int.from_bytes(field[:4], "big", signed=True)) for field in fields)
    return [None if field == b"\xff" * 4 else field[4:] for field in fields]


def as_numeric(field: bytes | None) -> Decimal | None:
    """As `numeric_recv` reads it; psycopg's loader drops digits of numbers with zeros before them."""
    if field is None:
        return None
    count, weight, sign, scale = struct.unpack("!HhHH", field[:8])
    if sign not in (0x0000, 0x4000):
        return Decimal({0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}[sign])
    digits = struct.unpack(f"!{count}H", field[8:])
    assert all(digit < 10_000 for digit in digits)
    whole = "".join(f"{digit:04}" for digit in digits[: weight + 1])
    fraction = "".join(f"{digit:04}" for digit in digits[weight + 1 :])
    assert not fraction[scale:].strip("0")
    number = Decimal(f"{whole or 0}.{fraction[:scale]:0<{scale}}")
    return number.copy_negate() if sign and number else number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("007", 7),
        ("5.0", 5),
        ("5.", 5),
        ("-32768", -32768),
        ("32767", 32767),
        ("32768", RANGE),
        ("-32769", RANGE),
        ("9" * 100, RANGE),
        ("5.5", TYPE),
        ("1e3", TYPE),
        ("0x1F", TYPE),
        ("1_000", TYPE),
        ("1,000", TYPE),
        (" 1", TYPE),
        ("1\n", TYPE),
        ("-", TYPE),
        ("--1", TYPE),
        ("1-", TYPE),
        ("٣", TYPE),
        ("true", TYPE),
    ],
)
def test_a_whole_number_is_digits_within_the_range_of_its_type(text: str, value: int | str) -> None:
    assert converted(column("smallint"), text) == [value]
    assert converted(column("smallint"), "12", text, None, "") == [12, value, None, None]


@pytest.mark.parametrize(("type_", "bits"), [("smallint", 16), ("integer", 32), ("bigint", 64)])
def test_each_size_has_its_own_range(type_: str, bits: int) -> None:
    most = 2 ** (bits - 1) - 1
    cells = [str(number) for number in (-most - 2, -most - 1, most, most + 1)]

    assert converted(column(type_), *cells) == [RANGE, -most - 1, most, RANGE]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1))
def test_whole_numbers_reach_postgres_as_they_are(numbers: list[int | None]) -> None:
    fields = copied(column("bigint"), *(None if number is None else str(number) for number in numbers))

    assert [None if field is None else Int8BinaryLoader(20).load(field) for field in fields] == numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "1.00"),
        ("+5", "5.00"),
        ("-.5", "-0.50"),
        ("5.", "5.00"),
        ("1e3", "1000.00"),
        ("1.25E1", "12.50"),
        ("12.3400", "12.34"),
        ("000012.34", "12.34"),
        ("-0.00", "0.00"),
        ("9999999999.99", "9999999999.99"),
        ("10000000000", RANGE),
        ("-1e10", RANGE),
        ("1e200000", RANGE),
        ("9" * 40, RANGE),
        ("12.345", PRECISION),
        ("1e-3", PRECISION),
        ("NaN", NOT_FINITE),
        ("-Infinity", NOT_FINITE),
        ("inf", NOT_FINITE),
        ("1,5", TYPE),
        ("1.000,50", TYPE),
        ("1_000", TYPE),
        ("0x1F", TYPE),
        ("1.2.3", TYPE),
        (" 1", TYPE),
        (".", TYPE),
        ("e3", TYPE),
        ("1e", TYPE),
        ("€ 5", TYPE),
        ("٣", TYPE),
    ],
)
def test_a_number_of_a_scale_is_exact(text: str, value: str) -> None:
    expected = value if value.startswith("<") else Decimal(value)

    assert converted(column("numeric(12,2)"), text) == [expected]
    assert converted(column("numeric(12,2)"), "7", text, None, "") == [Decimal("7.00"), expected, None, None]


@pytest.mark.parametrize(
    ("text", "value"), [("12.344", "12.34"), ("12.345", "12.35"), ("-12.345", "-12.35"), ("1e-9", "0.00")]
)
def test_a_column_may_say_that_numbers_are_rounded_half_away_from_zero(text: str, value: str) -> None:
    assert converted(column("numeric(12,2)", round=True), text) == [Decimal(value)]


def test_a_number_that_is_rounded_out_of_its_range_is_out_of_range() -> None:
    assert converted(column("numeric(3,1)", round=True), "99.94", "99.95") == [Decimal("99.9"), RANGE]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.50", "1.50"),
        ("007", "7"),
        ("-0.00", "0.00"),
        ("1e3", "1000"),
        ("1.5e-3", "0.0015"),
        ("9" * 40 + ".5", "9" * 40 + ".5"),
        ("9" * 131_072, "9" * 131_072),
        ("9" * 131_073, RANGE),
        ("0." + "9" * 16_383, "0." + "9" * 16_383),
        ("0." + "9" * 16_384, RANGE),
        ("1e1001", RANGE),
    ],
)
def test_a_number_without_a_scale_keeps_all_its_digits(text: str, value: str) -> None:
    assert converted(column("numeric"), text) == [value]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("numeric(3,-2)", "12300", "12300"),
        ("numeric(3,-2)", "12345", PRECISION),
        ("numeric(3,-2)", "100000", RANGE),
        ("numeric(3,5)", "0.00999", "0.00999"),
        ("numeric(3,5)", "0.01", RANGE),
        ("numeric(1000)", "9" * 1000, "9" * 1000),
    ],
)
def test_a_scale_may_be_negative_or_larger_than_the_precision(type_: str, text: str, value: str) -> None:
    assert converted(column(type_), text) == [value]


@pytest.mark.parametrize("type_", ["numeric", "numeric(12,2)", "real", "double precision"])
@pytest.mark.parametrize(
    ("text", "value"), [("NaN", "NaN"), ("nan", "NaN"), ("+inf", "Infinity"), ("-INFINITY", "-Infinity")]
)
def test_nan_and_the_infinities_are_values_where_they_are_declared(type_: str, text: str, value: str) -> None:
    declared = column(type_, not_finite=True)
    read = codec_of(declared).from_text(declared, pa.array(["1.5", text]))

    assert read.problems == {}
    assert codec_of(declared).to_text(declared, read.values)[1].as_py() == value
    field = copied(declared, "1.5", text)[1]
    assert field is not None
    if type_.startswith("numeric"):
        assert str(as_numeric(field)) == value
    else:
        loader = Float4BinaryLoader(700) if type_ == "real" else Float8BinaryLoader(701)
        assert str(loader.load(field)) == str(float(value))


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)


@given(st.lists(st.none() | DECIMALS, min_size=1))
def test_numbers_reach_postgres_with_all_their_digits(numbers: list[Decimal | None]) -> None:
    cells = [None if number is None else format(number, "f") for number in numbers]
    fields = [as_numeric(field) for field in copied(column("numeric"), *cells)]

    assert [None if number is None else format(number, "f") for number in fields] == [
        None if cell is None else cell.removeprefix("-") if Decimal(cell) == 0 else cell for cell in cells
    ]


@given(
    st.sampled_from([(4, 0), (12, 2), (15, 3), (18, 0), (18, 6), (20, 2), (38, 10), (76, 30)]).flatmap(
        lambda of: st.tuples(
            st.just(of), st.lists(st.integers(-(10 ** of[0]) + 1, 10 ** of[0] - 1), min_size=1)
        )
    )
)
def test_numbers_of_every_width_reach_postgres(case: tuple[tuple[int, int], list[int]]) -> None:
    (precision, scale), units = case
    numbers = [Decimal(f"{unit}e{-scale}") for unit in units]
    fields = copied(column(f"numeric({precision},{scale})"), *(format(number, "f") for number in numbers))

    assert [as_numeric(field) for field in fields] == numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("+1.5", 1.5),
        (".5", 0.5),
        ("1e20", 1e20),
        ("5e-324", 5e-324),
        ("0e5", 0.0),
        ("1e309", RANGE),
        ("-1e999999", RANGE),
        ("1e-400", RANGE),
        ("NaN", NOT_FINITE),
        ("Infinity", NOT_FINITE),
        ("1,5", TYPE),
        ("0x1p3", TYPE),
        ("1_0", TYPE),
        (" 1", TYPE),
        ("1f", TYPE),
    ],
)
def test_a_binary_fraction_is_the_nearest_of_its_type(text: str, value: float | str) -> None:
    assert converted(column("double precision"), text, None, "") == [value, None, None]


def test_a_real_has_a_range_of_its_own() -> None:
    assert converted(column("real"), "1e39", "1e-46", "1e38") == [RANGE, RANGE, pytest.approx(1e38)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_binary_fractions_are_written_so_that_they_are_read_again(numbers: list[float]) -> None:
    declared = column("double precision")
    texts = codec_of(declared).to_text(declared, pa.array(numbers)).to_pylist()

    assert converted(declared, *texts) == numbers
    fields = [Float8BinaryLoader(701).load(field or b"") for field in copied(declared, *texts)]
    assert [(number, math.copysign(1, number)) for number in fields] == [
        (number, math.copysign(1, number)) for number in numbers
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("numeric(0)", "write numeric, numeric(precision)"),
        ("numeric(1001)", "write numeric, numeric(precision)"),
        ("numeric(1,2,3)", "write numeric, numeric(precision)"),
        ("integer(4)", "it takes no parameters"),
        ("nummeric", "did you mean numeric?"),
    ],
)
def test_parameters_that_postgres_has_not_are_declaration_errors(text: str, sentence: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        column_type.parse(text)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("type_", "options", "sentence"),
    [
        ("integer", {"round": True}, "round is not for integer"),
        ("numeric", {"round": True}, "round is not for numeric"),
        ("text", {"not_finite": True}, "not_finite is not for text"),
        ("integer", {"default": True}, "default True is not of type integer"),
        ("integer", {"default": 2**31}, "default 2147483648 is not of type integer"),
        ("numeric(3,1)", {"default": "x"}, "default 'x' is not of type"),
    ],
)
def test_what_a_type_does_not_have_cannot_be_declared(type_: str, options: dict, sentence: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        column(type_, **options)

    assert sentence in str(refusal.value)


def test_a_default_is_read_as_a_cell_is() -> None:
    declared = Column(name="a", type=column_type.parse("numeric(3,1)"), default="1.5")

    assert codec_of(declared).default(declared).as_py() == Decimal("1.5")
    beyond = Column(name="a", type=column_type.parse("numeric(3,1)"), default=1000)
    with pytest.raises(DeclarationError, match="is not a value of"):
        codec_of(beyond).default(beyond)
