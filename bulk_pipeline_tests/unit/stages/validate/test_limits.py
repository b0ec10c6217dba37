"""Cells outside the limits of their column: the limit itself, exact comparisons, and the order of Postgres."""

import pyarrow as pa
import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, Mode, Table, column_type
from bulk_pipeline.schema.rules_in_words import limits
from bulk_pipeline.schema.table_files import read_table
from bulk_pipeline.schema.types.bounds import check_column
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.validate import validate

FINE = "0." + "0" * 50


def declared(type_: str, keys: str) -> Table:
    text = f'name: t\ncolumns:\n  c: {{type: "{type_}", {keys}}}\n'
    return read_table(text, "t.yaml")


def failures(table: Table, *cells: str | None) -> list[tuple[int, str, str]]:
    """Return row, code and message of each failure in a column of cells."""
    rows = pa.array(range(len(cells)), pa.int64())
    records = pa.RecordBatch.from_arrays(
        [rows, rows, pa.array(cells, pa.string())], names=["_row", "_line", "c"]
    )
    found = validate(records, none(), table, Mode.INSERT_ONLY).failures.to_pylist()
    return [(row["row"], row["code"], row["message"]) for row in found]


@pytest.mark.parametrize(
    ("type_", "keys", "inside", "outside", "says"),
    [
        ("smallint", "minimum: -5", "-5", "-6", "less than -5"),
        ("integer", "above: 0", "1", "0", "not more than 0"),
        ("bigint", "maximum: 9007199254740993", "9007199254740993", "9007199254740994", "more than 9007199254740993"),
        ("bigint", "below: 5", "4", "5", "not less than 5"),
        ("numeric(12,2)", "minimum: 0", "-0.00", "-0.01", "less than 0"),
        ("numeric(12,2)", "minimum: 0, below: 10", "9.99", "10", "not less than 10"),
        ("numeric(60,2)", "above: 0.01", "0.02", "0.01", "not more than 0.01"),
        ("numeric", "above: 0", f"{FINE}1", FINE, "not more than 0"),
        ("numeric", "maximum: 0.1", "0.1", f"0.1{FINE[2:]}1", "more than 0.1"),
        ("numeric", "below: 10", "-1" + "0" * 50, "1" + "0" * 50, "not less than 10"),
        ("numeric", "minimum: 0, not_finite: true", "NaN", "-Infinity", "less than 0"),
        ("numeric", "maximum: 0, not_finite: true", "-Infinity", "NaN", "more than 0"),
        ("double precision", "above: 0, not_finite: true", "NaN", "-Infinity", "not more than 0"),
        ("double precision", "maximum: 0, not_finite: true", "-Infinity", "NaN", "more than 0"),
        ("real", "above: 0.1", "0.1", "0.0999", "not more than 0.1"),  # the real 0.1 is greater than the double
        ("date", "minimum: 2020-02-29", "2020-02-29", "2020-02-28", "before 2020-02-29"),
        ("timestamp", "below: 2020-01-01", "2019-12-31T23:59:59.999999", "2020-01-01", "not before 2020-01-01"),
        (
            "timestamptz",
            'above: "2020-01-01T00:00:00Z"',
            "2020-01-01T00:00:00.000001Z",
            "2020-01-01T02:00:00+02:00",
            "not after 2020-01-01T00:00:00Z",
        ),
    ],
)  # fmt: skip
def test_a_cell_outside_is_one_failure(type_: str, keys: str, inside: str, outside: str, says: str) -> None:
    table = declared(type_, keys)
    assert failures(table, inside, outside, None, "") == [(1, "out_of_range", f"c '{outside}' is {says}")]


def test_a_cell_of_another_type_fails_for_its_type_alone() -> None:
    table = declared("integer", "minimum: 5, required: true")
    assert [code for _, code, _ in failures(table, "x", "99999999999", "")] == [
        "bad_type",
        "out_of_range",
        "required",
    ]


def test_limits_are_said_in_words() -> None:
    (number,) = declared("numeric(4,2)", "above: 0, maximum: 9.5").columns
    (day,) = declared("date", "minimum: 2020-01-01, below: 2030-01-01").columns
    assert limits(number) == ["more than 0", "at most 9.5"]
    assert limits(day) == ["not before 2020-01-01", "before 2030-01-01"]


@pytest.mark.parametrize(
    ("type_", "given", "sentence"),
    [
        ("text", {"minimum": "1"}, "minimum is not for text"),
        ("integer[]", {"minimum": "1"}, r"minimum is not for integer\[\]"),
        ("integer", {"minimum": "1.5"}, r"minimum '1\.5' is not a whole number like 42"),
        ("numeric", {"maximum": "NaN"}, "maximum 'NaN' is not a number"),
        ("numeric(4,2)", {"minimum": "0.001"}, r"limit 0\.001 is not a value of numeric\(4,2\)"),
        ("date", {"below": "soon"}, "below 'soon' is not a date like 2026-01-31"),
        ("integer", {"minimum": "1", "above": "1"}, "give minimum or above, not both"),
        ("integer", {"minimum": "5", "below": "5"}, "minimum 5 and below 5 leave no value"),
        ("integer", {"above": "0", "default": 0}, "default 0 is outside its limits"),
    ],
)
def test_limits_that_cannot_hold_are_refused_with_a_sentence(
    type_: str, given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(DeclarationError, match=f"column c: {sentence}"):
        check_column(Column(name="c", type=column_type.parse(type_), **given))  # pyright: ignore[reportArgumentType]
