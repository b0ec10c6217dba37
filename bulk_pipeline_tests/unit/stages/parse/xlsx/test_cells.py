"""The text of a sheet's cell, or the failure that shows what people see in it."""

import pytest

from bulk_pipeline_tests.unit.stages.parse.reading import Result, read
from bulk_pipeline_tests.unit.stages.parse.workbook import (
    Raw,
    Tab,
    Value,
    failed,
    shared,
    workbook,
    workbook_of,
)


def cell(value: Value, *, strings: str = "", settings: str = "") -> Result:
    rows: list[list[Value]] = [["email", "phone"], ["a@b.co", value], ["b@b.co", "end"]]
    return read(workbook_of(Tab("A", rows), strings=strings, settings=settings), "x.xlsx")


def text_of(value: Value, **options: str) -> str | None:
    result = cell(value, **options)
    assert (result.failures, result.warnings) == ([], [])
    return result.column("phone")[0]


def problem_of(value: Value, **options: str) -> tuple[str, str]:
    """Return code and message of the only failure, which is the cell's."""
    result = cell(value, **options)
    assert result.places == [(1, 2, "phone", result.places[0][3])]
    assert result.rows == {1: ("a@b.co", None), 2: ("b@b.co", "end")}
    return result.failures[0][3:]


NAMES = [
    "#N/A",
    "#REF!",
    "#DIV/0!",
    "#VALUE!",
    "#NAME?",
    "#NULL!",
    "#NUM!",
    "#GETTING_DATA",
    "#SPILL!",
    "#CALC!",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_formula_is_a_failure_that_shows_what_the_cell_shows(name: str) -> None:
    sentence = f"phone shows {name}: an error of the spreadsheet's formula; correct it there"
    assert problem_of(failed(name)) == ("bad_type", sentence)
    assert cell(failed(name)).raw[1] == b'{"email":"a@b.co","phone":"%b"}' % name.encode()


def test_a_failed_formula_in_a_required_column_is_not_called_empty() -> None:
    result = read(workbook([["email"], [failed("#VALUE!")], ["b@b.co"]]), "x.xlsx")
    assert result.failures == [
        (
            1,
            2,
            "email",
            "bad_type",
            "email shows #VALUE!: an error of the spreadsheet's formula; correct it there",
        )
    ]


def test_a_failed_formula_in_a_column_that_is_not_the_tables_is_no_failure() -> None:
    result = read(workbook([["email", "other"], ["a@b.co", failed("#N/A")]]), "x.xlsx")
    assert (result.cells, result.failures) == ([("a@b.co",)], [])


def test_a_text_like_an_error_is_a_text_with_a_warning() -> None:
    result = cell("#N/A")
    assert (result.column("phone"), result.failures) == (["#N/A", "end"], [])
    assert result.warnings == [
        "phone has texts like the errors of formulas, such as #N/A in row 2 of the sheet: they were imported as texts"
    ]


@pytest.mark.parametrize(
    "inner", ["<f>A1</f>", "<f>A1</f><v></v>", "<f>A1</f><v/>", '<f t="shared" si="0"/>']
)
def test_a_formula_without_a_value_is_a_failure_that_says_so(inner: str) -> None:
    assert problem_of(Raw("", inner)) == (
        "bad_type",
        "phone has a formula whose value the file does not hold: open it in a spreadsheet program, save it and import it "
        "again",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Raw('t="str"', "<f>A1</f><v>Rome</v>"), "Rome"),
        (Raw('t="str"', "<f>A1</f><v></v>"), None),
        (Raw("", "<f>A1</f><v>12</v>"), "12"),
        (Raw('t="b"', "<f>A1</f><v>0</v>"), "false"),
        (Raw('t="d"', "<v>2024-05-03T14:30:00</v>"), "2024-05-03T14:30:00"),
        (
            Raw(
                't="inlineStr"', "<is><r><t>Ro</t></r><r><t>me</t></r><rPh sb='0' eb='1'><t>x</t></rPh></is>"
            ),
            "Rome",
        ),
        (Raw('t="inlineStr"', "<is><t>a_x000D_\nb_x005F_x0041_</t></is>"), "a\r\nb_x0041_"),
        (Raw('t="str"', "<v>_xD83D__xDE00_</v>"), "😀"),
        (Raw("", "<v>4.9170123456700000E11</v>"), "491701234567"),
        (Raw("", "<v>007</v>"), "7"),
        (Raw("", "<v>30123456.0</v>"), "30123456"),
        (Raw("", "<v>1E-9</v>"), "0.000000001"),
        (Raw('s="99"', "<v>7</v>"), "7"),
        (Raw("", ""), None),
    ],
)
def test_a_stored_value_becomes_text(value: Raw, text: str | None) -> None:
    assert text_of(value) == text


def test_a_shared_text_is_its_runs_without_what_is_read_aloud() -> None:
    strings = "<si><r><t xml:space='preserve'>Tokyo </t></r><r><t>East</t></r><rPh sb='0' eb='2'><t>x</t></rPh></si>"
    assert text_of(shared(0), strings=strings) == "Tokyo East"


@pytest.mark.parametrize("number", [-1, 1, 10**20])
def test_a_shared_text_that_is_not_there_is_a_failure(number: int) -> None:
    problem = ("bad_type", "phone refers to a text that the file does not hold")
    assert problem_of(shared(number), strings="<si><t>a</t></si>") == problem


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("12345678901234567890", "12345678901234567168"),
        ("1E15", "1000000000000000"),
        ("-1E+15", "-1000000000000000"),
    ],
)
@pytest.mark.parametrize("format_", [None, "00000", "0"])
def test_a_number_of_more_digits_than_a_spreadsheet_keeps_is_a_failure(
    value: str, shown: str, format_: str | None
) -> None:
    assert problem_of(Raw("", f"<v>{value}</v>", format_)) == (
        "spreadsheet_damage",
        f"phone '{shown}' has more than 15 digits, and a spreadsheet keeps no more of a number: format the column as text "
        "and enter the value again",
    )


@pytest.mark.parametrize("value", ["x", "NaN", "INF", "1_000", "--1"])
def test_a_number_that_is_none_is_a_failure(value: str) -> None:
    assert problem_of(Raw("", f"<v>{value}</v>")) == (
        "bad_type",
        f"phone '{value}' is stored as a number, but is none",
    )


def test_characters_that_no_text_can_hold_are_a_failure() -> None:
    assert problem_of(Raw('t="str"', "<v>a_x0000_</v>")) == (
        "bad_encoding",
        "phone has a NUL byte (0x00) at position 2",
    )
    assert problem_of(Raw('t="str"', "<v>_xD83D_</v>"))[0] == "bad_encoding"


@pytest.mark.parametrize(
    ("format_", "value", "text"),
    [
        ("00000", "7", "00007"),
        ("00000", "123456", "123456"),
        ("00000", "-7", "-00007"),
        ("00000;@", "7", "00007"),
        ("[$-407]00000", "1067", "01067"),
        ("[Red]000", "7", "007"),
        ('"K-"00000', "42", "K-00042"),
        ("\\K\\-0000", "42", "K-0042"),
        ("000-00-0000", "12345678", "012-34-5678"),
        ("0000 0000", "70008", "0007 0008"),
        ('"+"0', "491701234567", "+491701234567"),
        ("##00", "7", "07"),
        ("(000) 000-0000", "301234567", "(030) 123-4567"),
        ('00;(00);"none"0', "-7", "(07)"),
        # All other formats show a number in another way, and the number itself is the value.
        ("0", "7", "7"),
        ("00000", "7.5", "7.5"),
        ("General", "7", "7"),
        ("@", "7", "7"),
        ("#,##0.00", "1234.5", "1234.5"),
        ("0%", "0.5", "0.5"),
        ("0.00E+00", "491701234567", "491701234567"),
        ("[<=9999999]###-####;(###) ###-####", "5551234", "5551234"),
        ("# ?/?", "0.5", "0.5"),
        ('0.00 "EUR"', "12.5", "12.5"),
        ("_-* #,##0.00\\ [$€-407]_-", "12.5", "12.5"),
        ("00000;;", "7", "7"),
    ],
)
def test_zeros_and_fixed_text_of_a_number_format_are_kept(format_: str, value: str, text: str) -> None:
    assert text_of(Raw("", f"<v>{value}</v>", format_)) == text


@pytest.mark.parametrize(
    ("format_", "value", "text"),
    [
        ("yyyy-mm-dd", "45415", "2024-05-03"),
        ("dd.mm.yyyy;@", "45415.604166666664", "2024-05-03T14:30:00"),
        ("[$-407]d. mmmm yyyy", "45415.5", "2024-05-03T12:00:00"),
        ("m/d/yy h:mm", "45415.99999999999", "2024-05-04"),
        ("yyyy-mm-dd hh:mm:ss.000", "45415.00000001157", "2024-05-03T00:00:00.001000"),
        ("yyyy-mm-dd hh:mm:ss.000", "45415.521008373", "2024-05-03T12:30:15.123427"),
        ("yyyy-mm-dd", "1", "1900-01-01"),
        ("yyyy-mm-dd", "59", "1900-02-28"),
        ("yyyy-mm-dd", "61", "1900-03-01"),
        ("yyyy-mm-dd", "2958465", "9999-12-31"),
        ("h:mm", "0.5", "12:00:00"),
        ("h:mm", "0.99999999999", "1900-01-01"),
        ("h:mm AM/PM", "0.25", "06:00:00"),
        ("[h]:mm", "1.1041666666666667", "26:30:00"),
        ("[mm]:ss", "0.0104166666666667", "0:15:00"),
        ("[h]:mm", "-0.0208333333333333", "-0:30:00"),
        ('"day" 0', "5", "day 5"),
        ("[Red]0.0", "5", "5"),
        ("\\d0", "5", "d5"),
    ],
)
def test_a_format_of_dates_makes_a_number_a_date(format_: str, value: str, text: str) -> None:
    assert text_of(Raw("", f"<v>{value}</v>", format_)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("43953", "2024-05-03"), ("0", "1904-01-01"), ("0.5", "12:00:00"), ("60", "1904-03-01")],
)
def test_days_may_be_counted_from_1904(value: str, text: str) -> None:
    assert text_of(Raw("", f"<v>{value}</v>", "d.m.yy"), settings='date1904="1"') == text


@pytest.mark.parametrize("value", ["-1", "60", "60.5", "2958466", "1e300"])
def test_a_date_that_no_calendar_has_is_a_failure(value: str) -> None:
    assert problem_of(Raw("", f"<v>{value}</v>", "yyyy-mm-dd")) == (
        "out_of_range",
        f"phone '{value}' is formatted as a date, but the calendar of spreadsheets has no such day",
    )
