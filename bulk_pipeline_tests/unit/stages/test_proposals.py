"""Settings that the cells of a file need: proposed only where no other reading fits, each with its evidence."""

import io
from datetime import date, datetime
from typing import Any

import pytest

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline.stages.proposals.settings import MARKED, Proposal, propose
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook
from bulk_pipeline_tests.unit.stages.validate.test_notation import table_of


def proposed(data: bytes, table: Table, name: str = "t.csv") -> Proposal:
    return propose(open_upload(io.BytesIO(data), name, table=table, declared=MARKED), table)


def of_cells(column: str, *cells: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the settings, their evidence, and what is undecided about cells of one column."""
    data = "\n".join([f"{column};note", *(f'"{cell}";x' for cell in cells)]).encode()
    proposal = proposed(data, table_of(column, "note"))
    assert proposal.rows == len(cells)
    return (
        {setting.name: setting.value for setting in proposal.settings},
        [setting.evidence for setting in proposal.settings],
        proposal.undecided,
    )


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        (
            "day",
            ["01/02/2026", "04/05/2026"],
            "day '01/02/2026' (row 1) is 2026-02-01 with date_format: DD/MM/YYYY and 2026-01-02 with date_format: "
            "MM/DD/YYYY, and no cell shows which is meant",
        ),
        (
            "weight",
            ["1.234", "5.678"],
            "weight '1.234' (row 1) is 1.234 with no setting and 1234 with decimal: ,, thousands: ., and no cell shows which is meant",
        ),
        ("weight", ["12.5", "heavy"], "no setting is known that reads weight 'heavy' (row 2)"),
        ("weight", ["x", "y", "z"], "no setting is known that reads weight 'x' (row 1), and 2 more"),
        (
            "day",
            ["13/02/2026", "02/13/2026"],
            "no one setting reads all cells of these columns; one of them is day '13/02/2026' (row 1)",
        ),
    ],
)
def test_what_two_settings_explain_or_none_is_not_proposed(column: str, cells: list[str], said: str) -> None:
    assert of_cells(column, *cells) == ({}, [], [said])


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("price", ["12.50", "-3", "1e3"]),
        ("pieces", ["1", "2"]),
        ("day", ["2026-01-31"]),
        ("paid", ["yes", "no", "TRUE"]),
        ("at", ["23:59", "12:00:05.5"]),
        ("noon", ["2026-01-31T10:00", "2026-01-31"]),
        ("price", []),
    ],
)
def test_the_usual_notation_needs_no_setting(column: str, cells: list[str]) -> None:
    assert of_cells(column, *cells) == ({}, [], [])


@pytest.mark.parametrize(
    ("column", "cells", "settings", "evidence"),
    [
        ("price", ["12,50", "7"], {"decimal": ","}, "only so price '12,50' (row 1) is a number"),
        (
            "price",
            ["7", "1.234,50"],
            {"decimal": ",", "thousands": "."},
            "only so price '1.234,50' (row 2) is a number",
        ),
        (
            "pieces",
            ["1,234,567"],
            {"decimal": ".", "thousands": ","},
            "only so pieces '1,234,567' (row 1) is a whole number",
        ),
        (
            "price",
            ["1'234.5"],
            {"decimal": ".", "thousands": "'"},
            "only so price '1'234.5' (row 1) is a number",
        ),
        (
            "day",
            ["01/02/2026", "31/01/2026"],
            {"date_format": "DD/MM/YYYY"},
            "only so day '31/01/2026' (row 2) is a date",
        ),
        (
            "day",
            ["1.2.2026", "13.2.2026"],
            {"date_format": "D.M.YYYY"},
            "only so day '13.2.2026' (row 2) is a date",
        ),
        ("day", ["1/31/2026"], {"date_format": "M/D/YYYY"}, "only so day '1/31/2026' (row 1) is a date"),
        ("at", ["8:15"], {"time_format": "H:mm"}, "only so at '8:15' (row 1) is a time of day"),
        (
            "noon",
            ["01.02.2026 10:00", "13.02.2026 10:00:05"],
            {"timestamp_format": ["DD.MM.YYYY HH:mm", "DD.MM.YYYY HH:mm:ss"]},
            "only so noon '13.02.2026 10:00:05' (row 2) is an ISO 8601 date or time",
        ),
        (
            "paid",
            ["ja", "Nein"],
            {"true_words": "ja", "false_words": "nein"},
            "only so paid 'ja' (row 1) is a boolean",
        ),
        ("price", ["1.5", "n/a"], {"null_words": "n/a"}, "no value of its column: price 'n/a' (row 2)"),
        ("price", ["1.5 "], {"trim": True}, "price '1.5 ' (row 1) has blanks around it"),
    ],
)
def test_a_setting_is_proposed_with_the_cell_that_only_it_allows(
    column: str, cells: list[str], settings: dict[str, Any], evidence: str
) -> None:
    found, reasons, undecided = of_cells(column, *cells)
    assert (found, {*reasons}, undecided) == (settings, {evidence}, [])


def test_columns_of_a_type_are_decided_together() -> None:
    table = table_of("price", "weight", "note")
    proposal = proposed(b"price;weight;note\n1.234;1,5;x\n", table)
    assert [(setting.name, setting.value) for setting in proposal.settings] == [
        ("decimal", ","),
        ("thousands", "."),
    ]


def test_values_that_a_workbook_stores_are_no_evidence() -> None:
    rows = [["price", "day"], [1.5, date(2026, 1, 31)], ["1,5", "31.01.2026"], [2.5, datetime(2026, 1, 31)]]
    proposal = proposed(workbook(rows), table_of("price", "day"), "t.xlsx")
    assert [(setting.name, setting.value) for setting in proposal.settings] == [
        ("decimal", ","),
        ("date_format", "DD.MM.YYYY"),
    ]
    assert proposal.undecided == []


def test_nothing_is_proposed_for_a_format_with_a_notation_of_its_own() -> None:
    proposal = proposed(b'{"note": "x", "price": "1,5"}\n', table_of("note", "price"), "t.ndjson")
    assert proposal == Proposal(notes=["ndjson has a notation of its own: nothing is declared for it"])


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_nothing_is_proposed_for_a_file_without_rows(name: str) -> None:
    data = b"note,price\n" if name == "t.csv" else workbook([["note", "price"]])
    assert proposed(data, table_of("note", "price"), name) == Proposal()


def test_a_time_zone_cannot_be_seen_in_a_file() -> None:
    proposal = proposed(b"seen;note\n2026-01-31T10:00Z;x\n2026-01-31T10:00;x\n", table_of("seen", "note"))
    assert proposal.notes == [
        "seen '2026-01-31T10:00' (row 2) has no offset: it is in UTC, unless time_zone is declared"
    ]
