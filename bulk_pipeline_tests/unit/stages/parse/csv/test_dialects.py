"""Delimiters, quotes and escapes are detected by the content, with a table by its header."""

import csv
import io

import pytest

from bulk_pipeline_tests.unit.stages.parse.reading import read

ROWS = [("a@b.co", "Ana, or Anna", "Rome; Italy"), ("c@d.ef", 'said "hi"', None), ("e@f.gh", "", "New York")]


def written(delimiter: str, quote: str = '"', escape: str | None = None) -> bytes:
    """Return the rows as CSV, with an empty cell for None and an empty quoted one for ""."""
    lines = ["email,first_name,city".replace(",", delimiter)]
    for row in ROWS:
        cells = []
        for cell in row:
            text = (cell or "").replace(quote, (escape or quote) + quote)
            plain = cell is None or (cell and not set(delimiter + quote + " \n") & set(cell))
            cells.append(text if plain else f"{quote}{text}{quote}")
        lines.append(delimiter.join(cells))
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", "^", "~", " ", "\x1f", "||", "::", "§"])
@pytest.mark.parametrize("table", ["customers", None])
def test_the_delimiter_is_found(delimiter: str, table: str | None) -> None:
    result = read(written(delimiter), table=table)
    assert (result.dialect.delimiter, result.dialect.quote) == (delimiter, '"')
    assert (result.cells, result.failures) == (ROWS, [])


@pytest.mark.parametrize("table", ["customers", None])
def test_a_comma_and_a_blank_is_a_comma(table: str | None) -> None:
    result = read(
        written(",").replace(b",", b", ").replace(b", or", b" or").replace(b"Ana ", b"Ana, "), table=table
    )
    assert result.dialect.delimiter == ","
    assert [row[0] for row in result.cells] == ["a@b.co", "c@d.ef", "e@f.gh"]


def test_apostrophes_as_quotes_need_evidence() -> None:
    assert read(b"email,city\na@b.co,'tis\nb@b.co,O'Hara\n").column("city") == ["'tis", "O'Hara"]
    result = read(b"email,city\n'a@b.co','Rome, won't'\n'b@b.co','O''Hara'\n'c@b.co',\n")
    assert (result.dialect.quote, result.column("city")) == ("'", ["Rome, won't", "O'Hara", None])


def test_backslash_escapes_need_evidence() -> None:
    result = read(written(",", escape="\\"))
    assert (result.dialect.escape, result.cells) == ("\\", ROWS)
    plain = read(b'email,city\na@b.co,"C:\\dir\\"\nb@b.co,"5\\""x"\n')
    assert (plain.dialect.escape, plain.column("city")) == (None, ["C:\\dir\\", '5\\"x'])


def test_a_cell_that_is_a_backslash_before_one_over_two_lines_is_no_evidence() -> None:
    rows = b"".join(b"u%d@b.co,,Rome\n" % number for number in range(9))
    result = read(b"email,phone,city\n" + rows + b'a@b.co,"\\","\n"\n' + rows)
    assert (result.dialect.escape, result.failures) == (None, [])
    assert result.rows[10] == ("a@b.co", "\\", "\n")


def test_pairs_of_quotes_inside_an_unquoted_cell_are_text() -> None:
    text = b'id\tslug\ttitle\tbody\tauthor_id\tstatus\ttags\n1\ts\tt\tb\t2\tdraft\t["a", "b"]\n'
    assert read(text, table="articles").column("tags") == ['["a", "b"]']


def test_a_decimal_comma_does_not_make_the_comma_a_delimiter() -> None:
    result = read(b"item;price;tax\na;1,5;2,5\nb;3,5;4,5\nc;3,1;4,2\n", table=None)
    assert (result.dialect.delimiter, result.cells[0]) == (";", ("a", "1,5", "2,5"))


@pytest.mark.parametrize("dialect", ["excel", "excel-tab", "unix"])
def test_the_output_of_the_csv_module_is_read_back(dialect: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, dialect).writerows(
        [["email", "first_name"], ["a@b.co", 'x, "y"\tz\nw'], ["c@d.ef", "é"]]
    )
    result = read(text.getvalue().encode())
    assert (result.cells, result.failures) == ([("a@b.co", 'x, "y"\tz\nw'), ("c@d.ef", "é")], [])


def test_one_column_is_a_file_too() -> None:
    assert read(b"email\na@b.co\n\nc@d.ef\n").cells == [("a@b.co",), ("c@d.ef",)]
    assert read(b"word\nhello\nwide world\n", table=None).cells == [("hello",), ("wide world",)]


@pytest.mark.parametrize("text", ["not an address", "a: b", "x|y", "p~q", "2026^07", "a; b; c", "tab\there"])
@pytest.mark.parametrize("header", ["email", '"email"', "E-Mail", "  email  "])
@pytest.mark.parametrize("title", ["", "List of 2026\n\n"])
def test_characters_in_the_texts_of_one_column_are_no_delimiters(text: str, header: str, title: str) -> None:
    result = read(f"{title}{header}\na@b.co\n{text}\n{text}\nb@b.co\n".encode())
    assert (result.column("email"), result.failures) == (["a@b.co", text, text, "b@b.co"], [])
