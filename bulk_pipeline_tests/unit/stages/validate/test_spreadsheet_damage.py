"""Cells that a spreadsheet program has changed are failures of their own, and good cells never are."""

import pytest

from bulk_pipeline.schema import Column, ForeignKey, Table, UploadFormat, column_type
from bulk_pipeline_tests.unit.stages.validate.test_notation import Failed, read

REMEDY = "format the column as text before its values are entered or opened, and export the file again"
NUMBER = f"is a number that a spreadsheet has shortened, its last digits are lost: {REMEDY}"
DATE = f"a spreadsheet makes dates of codes like 2-3: {REMEDY}"

TABLE = Table(
    name="parts",
    columns=(
        Column(name="id", type=column_type.parse("bigint")),
        Column(name="serial", type=column_type.parse("numeric(20,0)")),
        Column(name="name"),
        Column(name="code", pattern=r"\d-\d+|[A-Z]{3}-\d\d", pattern_name="a code like 2-3"),
        Column(name="size", choices=("2-3", "4-6")),
        Column(name="maker"),
        Column(name="weight", type=column_type.parse("double precision")),
        Column(name="mass", type=column_type.parse("numeric(30,0)")),
        Column(name="note"),
    ),
    unique_keys=(("id",), ("serial",), ("name",)),
    foreign_keys=(ForeignKey(columns=("maker",), table="makers", references=("name",)),),
)


def failures(column: str, *cells: str, declared: UploadFormat | None = None) -> Failed:
    lines = (
        [f"{column};note", *(f"{cell};x" for cell in cells)] if column != "note" else ["note;size", *cells]
    )
    return read("\n".join(lines).encode(), TABLE, declared or UploadFormat())[1]


@pytest.mark.parametrize("column", ["id", "serial", "name", "code", "size", "maker"])
@pytest.mark.parametrize("cell", ["1.23457E+19", "1,23E+19", "5E+15", "-1.2E+100"])
def test_a_long_number_without_its_last_digits_is_damage(column: str, cell: str) -> None:
    found = [failure for failure in failures(column, cell) if failure[1] == column]
    assert found == [(1, column, cell, f"{column} '{cell}' {NUMBER}")]


@pytest.mark.parametrize("cell", ["1.23457E+19", "1,23E+19"])
@pytest.mark.parametrize("column", ["id", "serial"])
def test_it_is_damage_in_every_notation(column: str, cell: str) -> None:
    found = failures(column, cell, declared=UploadFormat(decimal=","))
    assert (1, column, cell, f"{column} '{cell}' {NUMBER}") in found


@pytest.mark.parametrize(
    "cell",
    ["2-Mar", "02-Mar", "Mar-02", "02. Mrz", "2. M\u00e4r", "Dez 02", "2-mars", "02.03.2026", "2026-03-02"],
)
@pytest.mark.parametrize(("column", "wanted"), [("code", ", not a code like 2-3"), ("size", "")])
def test_a_date_where_a_pattern_or_choices_want_a_code_is_damage(column: str, wanted: str, cell: str) -> None:
    found = [failure for failure in failures(column, cell) if failure[1] == column]
    assert found == [(1, column, cell, f"{column} '{cell}' is a date{wanted}: {DATE}")]


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("code", ["MAR-02", "2-3"]),
        ("name", ["2-Mar", "Mar-02", "2026-03-02", "1E+5", "1.5e+19", "12E+19", "1.234567E+19", "E+19"]),
        ("name", ["12345678901234500000", "1000000000000000000"]),
        ("id", ["1000000000000000000", "1700000000123000000"]),
        ("serial", ["12345678901234500000"]),
        ("weight", ["1.23457E+19"]),
        ("mass", ["1.23457E+19"]),
        ("note", ["1.23457E+19;2-3", "2-Mar;2-3"]),
    ],
)
def test_a_cell_that_may_be_meant_as_it_is_is_not(column: str, cells: list[str]) -> None:
    assert [failure for failure in failures(column, *cells) if failure[1] == column] == []


def test_other_wrong_cells_are_what_they_were() -> None:
    assert failures("code", "x")[0][3] == "code 'x' is not a code like 2-3"
    assert [failure[3] for failure in failures("id", "1.5E+3x")] == [
        "id '1.5E+3x' is not a whole number like 42"
    ]
