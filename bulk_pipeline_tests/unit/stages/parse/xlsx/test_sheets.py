"""The choice of a workbook's sheet, and the warnings about other sheets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import Tab, Value, failed, workbook_of

HEADER: list[Value] = ["email", "city"]
ANN: list[list[Value]] = [HEADER, ["ann@x.co", "Rome"]]
BOB: list[list[Value]] = [HEADER, ["bob@x.co", "Oslo"]]
COVER: list[list[Value]] = [["Export of our customers"], [], ["Made by", "sales"]]


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
@pytest.mark.parametrize("hidden", [ANN, COVER, [["Rome"], ["Oslo"]]])
def test_a_hidden_sheet_is_not_imported_and_is_named(state: str, hidden: list[list[Value]]) -> None:
    result = read(workbook_of(Tab("Old", hidden, state), Tab("Customers", BOB)), "x.xlsx")
    assert (result.cells, result.warnings) == (
        [("bob@x.co", "Oslo")],
        ["hidden sheets were not imported: 'Old'"],
    )


@pytest.mark.parametrize("order", [1, -1])
def test_the_only_sheet_that_fits_is_imported_and_the_others_are_named(order: int) -> None:
    tabs = [Tab("Cover", COVER), Tab("Customers", BOB), Tab("Notes", [["a"], ["b"]])][::order]
    result = read(workbook_of(*tabs), "x.xlsx")
    others = "'Cover', 'Notes'" if order == 1 else "'Notes', 'Cover'"
    assert result.cells == [("bob@x.co", "Oslo")]
    assert result.warnings == [f"only the sheet 'Customers' was imported: there is more in {others}"]


def test_a_sheet_that_explains_the_columns_is_none_that_fits() -> None:
    lines: list[list[Value]] = [["Column", "What to enter"], ["email", "the address"], ["city", "optional"]]
    result = read(workbook_of(Tab("Read me", lines), Tab("Data", BOB)), "x.xlsx")
    assert result.cells == [("bob@x.co", "Oslo")]


def test_a_sheet_with_one_column_of_the_table_fits_where_no_other_does() -> None:
    rows: list[list[Value]] = [["email", "Remarks"], ["ann@x.co", "new"]]
    assert read(workbook_of(Tab("Cover", COVER), Tab("Data", rows)), "x.xlsx").cells == [("ann@x.co",)]


def test_a_sheet_with_a_header_only_gives_way_to_one_with_rows() -> None:
    result = read(workbook_of(Tab("February", [HEADER]), Tab("January", ANN)), "x.xlsx")
    assert result.cells == [("ann@x.co", "Rome")]


def test_sheets_without_cells_and_charts_are_no_candidates() -> None:
    tabs = Tab("Empty"), Tab("Chart", kind="chartsheet"), Tab("Dialog", kind="dialogsheet"), Tab("Data", ANN)
    result = read(workbook_of(*tabs), "x.xlsx")
    assert (result.cells, result.warnings) == ([("ann@x.co", "Rome")], [])


def refused(data: bytes, **options: Any) -> tuple[str, str]:
    with pytest.raises(FileError) as caught:
        read(data, "x.xlsx", **options)
    return caught.value.code, str(caught.value)


def test_two_sheets_that_fit_fail_the_upload_and_are_named() -> None:
    data = workbook_of(Tab("January", ANN), Tab("February", BOB), Tab("Cover", COVER))
    assert refused(data) == (
        "no_sheet",
        "2 sheets have the columns of customers: 'January', 'February' (there is more in 'Cover'); save each as a file of "
        "its own, or declare the one that holds the rows (sheet: January, on the command line --sheet 'January')",
    )


def test_two_sheets_fail_the_upload_where_no_table_says_which_fits() -> None:
    assert refused(workbook_of(Tab("A", ANN), Tab("B", COVER)), table=None) == (
        "no_sheet",
        "2 sheets hold rows: 'A', 'B'; save each as a file of its own, or declare the one that holds the rows "
        "(sheet: A, on the command line --sheet 'A')",
    )


def test_if_no_sheet_fits_the_error_shows_the_nearest() -> None:
    code, message = refused(workbook_of(Tab("Cover", COVER), Tab("Places", [["City"], ["Rome"]])))
    assert code == "missing_column"
    assert message.startswith(
        "no sheet has the columns of customers: 'Cover', 'Places'; in 'Places': required column email missing: found City"
    )


def test_a_workbook_without_a_visible_row_fails_the_upload() -> None:
    assert refused(workbook_of(Tab("A"), Tab("B")))[0] == "no_header"
    assert refused(workbook_of(Tab("A"), Tab("Old", ANN, "hidden"))) == (
        "no_sheet",
        "every sheet with something in it is hidden: 'Old'; unhide one, or declare the one that holds the rows "
        "(sheet: Old, on the command line --sheet 'Old')",
    )


@pytest.mark.parametrize("name", ["Feb 24", "feb 24", " FEB  24", "feb24"])
@pytest.mark.parametrize("state", [None, "hidden"])
def test_a_declared_sheet_is_imported_also_a_hidden_one(name: str, state: str | None) -> None:
    data = workbook_of(Tab("Jan 24", ANN), Tab("Feb 24", BOB, state))
    result = read(data, "x.xlsx", declared=UploadFormat(sheet=name))
    assert (result.cells, result.warnings) == (
        [("bob@x.co", "Oslo")],
        ["only the sheet 'Feb 24' was imported: there is more in 'Jan 24'"],
    )


def test_an_exact_name_goes_before_one_that_is_alike() -> None:
    data = workbook_of(Tab("data", ANN), Tab("Data", BOB))
    assert read(data, "x.xlsx", declared=UploadFormat(sheet="Data")).cells == [("bob@x.co", "Oslo")]
    assert refused(data, declared=UploadFormat(sheet="DATA"))[1].startswith(
        "the sheet 'DATA' was declared, but the workbook has more than one sheet with such a name"
    )


def test_a_declared_sheet_that_is_not_there_fails_the_upload_and_names_those_that_are() -> None:
    assert refused(workbook_of(Tab("A", ANN), Tab("Ü & <b>", BOB)), declared=UploadFormat(sheet="March")) == (
        "no_sheet",
        "the sheet 'March' was declared, but the workbook has no sheet of that name; it has 'A', 'Ü & <b>'",
    )


def test_cells_are_matched_by_position_if_no_header_is_declared() -> None:
    rows: list[list[Value]] = [
        ["ann@x.co", "Ann", "Ar", "030 1", "Rome"],
        ["bob@x.co", "Bob", None, None, "Oslo"],
    ]
    result = read(workbook_of(Tab("A", rows)), "x.xlsx", declared=UploadFormat(no_header=True))
    assert result.columns == ("email", "first_name", "last_name", "phone", "city")
    assert (result.cells, result.lines) == (
        [("ann@x.co", "Ann", "Ar", "030 1", "Rome"), ("bob@x.co", "Bob", None, None, "Oslo")],
        {1: 1, 2: 2},
    )
    narrow = workbook_of(Tab("A", [["ann@x.co", "x"]]))
    assert refused(narrow, declared=UploadFormat(no_header=True))[0] == "no_header"


def test_a_problem_of_the_chosen_sheet_names_it_and_the_other_sheets() -> None:
    assert refused(workbook_of(Tab("A", [[failed("#REF!")]]), Tab("B", [["email", "email"]]))) == (
        "duplicate_header",
        "the header names 'email' twice (cells 1 and 2): email, email; leave one of them out (in the sheet 'B'); "
        "only the sheet 'B' was imported: there is more in 'A'",
    )


WORDS = st.sampled_from(["email", "city", "City ", "Total", "x", "#N/A", "ann@x.co", "bob@x.co", "7", "Rome"])
CELLS = st.none() | WORDS | st.integers(0, 99) | st.just(failed("#REF!"))
SHEETS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([None, "visible", "hidden", "veryHidden"]),
        st.lists(st.lists(CELLS, max_size=4), max_size=6),
    ),
    min_size=1,
    max_size=4,
)


@given(SHEETS)
def test_every_cell_that_people_see_is_read_or_reported_or_its_sheet_is_named(
    sheets: list[tuple[bool, str | None, list[list[Value]]]],
) -> None:
    tabs = [
        Tab(f"sheet-{i}", [HEADER, *rows] if has_header else rows, state)
        for i, (has_header, state, rows) in enumerate(sheets)
    ]
    seen = {
        tab.name: [
            (number, cell) for number, row in enumerate(tab.rows, 1) for cell in map(shown, row) if cell
        ]
        for tab in tabs
        if tab.state in (None, "visible")
    }
    try:
        result = read(workbook_of(*tabs), "x.xlsx")
    except FileError as error:
        unnamed = [name for name, cells in seen.items() if cells and name not in str(error)]
        assert len(unnamed) <= (sum(map(bool, seen.values())) == 1)  # a single sheet needs no name
        return
    told = " ".join(result.warnings)
    unnamed = [name for name, cells in seen.items() if cells and f"there is more in '{name}'" not in told]
    read_sheets = [name for name in unnamed if f"'{name}'" not in told.partition("there is more in")[2]]
    assert len(read_sheets) == 1
    header = result.dialect.header_line or 0
    raw = {line: result.raw[number].decode() for number, line in result.lines.items()}
    for number, cell in seen[read_sheets[0]]:
        if number < header and number not in raw:
            assert f"the header is in row {header} of the sheet: the rows before it were not used" in told
        elif number != header:
            assert f'"{cell}"' in raw[number]
    failures = {failure[0] for failure in result.failures}
    for number in result.raw.keys() - failures:
        cells = [cell for line, cell in seen[read_sheets[0]] if line == result.lines[number]]
        known = [cell for cell in result.rows[number] if cell]
        ignored = [cell for cell in cells if cell not in known]
        assert not ignored or "columns that customers does not have are ignored" in told


def shown(cell: Value) -> str:
    return "#REF!" if cell == failed("#REF!") else "" if cell is None else str(cell).strip()
