"""The meaning of delimited files: cells, NULL, rows and lines."""

from functools import partial
from unittest.mock import patch

import pytest

from bulk_pipeline.stages.parse.csv import blocks as csv_blocks
from bulk_pipeline.stages.parse.csv import reader
from bulk_pipeline_tests.unit.stages.parse.reading import opened, read

MALFORMED = "malformed_row"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("Ana", "Ana"),
        ("  Ana \t", "Ana"),
        ("Ana Maria", "Ana Maria"),
        ("", None),
        ("  ", None),
        ('""', ""),
        ('"  Ana "', "  Ana "),
        (' "Ana" ', "Ana"),
        ('"a,b"', "a,b"),
        ('"a""b"', 'a"b'),
        ('"a\nb"', "a\nb"),
        ('"a\r\nb"', "a\r\nb"),
        ('""""', '"'),
        ('["a"]', '["a"]'),
        ("O'Hara", "O'Hara"),
        ("\\N", "\\N"),
        ("Zoë 北京 🎉", "Zoë 北京 🎉"),
        ("NULL", "NULL"),
        ("007", "007"),
        ("\u00a0Ana\u00a0", "Ana"),
        (" \u00a0\tAna \u3000\u200b", "Ana"),
        ("\u202aAna\u202c", "Ana"),
        ("\u00ad\u2060Ana\x85", "Ana"),
        ("Ana\u2028", "Ana"),
        ("\x0bAna\x0c", "Ana"),
        ("Ana\u00a0Maria", "Ana\u00a0Maria"),
        ("\u00a0", None),
        ("\u200b \u3164", None),
        ('"\u00a0Ana\u200b"', "\u00a0Ana\u200b"),
        ('"\u00a0"', "\u00a0"),
        ('\u00a0"Ana" \u200b', "Ana"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("Ana\x01", "Ana\x01"),
    ],
)
def test_a_cell_is_read_as(cell: str, value: str | None) -> None:
    result = read(f"email,first_name\na@b.co,{cell}\nz@z.zz,end\n".encode())
    assert (result.cells, result.failures) == ([("a@b.co", value), ("z@z.zz", "end")], [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False, "blank lines"])
def test_record_ends_and_the_last_one(end: str, last: bool | str) -> None:
    text = end.join(["email,city", "a@b.co,Rome", 'c@d.ef,"New', 'York"', "", "e@f.gh,"])
    tail = {"True": end, "False": ""}.get(str(last), end * 3)
    result = read((text + tail).encode())
    assert result.cells == [("a@b.co", "Rome"), ("c@d.ef", f"New{end}York"), ("e@f.gh", None)]
    assert result.lines == {1: 2, 2: 3, 3: 6}
    assert result.dialect.record_end == {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}[end]


def test_mixed_record_ends_count_as_one_line_each() -> None:
    result = read(b"email,city\r\na@b.co,Rome\rc@d.ef,Oslo\n\r\ne@f.gh,Bern\n")
    assert result.column("city") == ["Rome", "Oslo", "Bern"]
    assert result.lines == {1: 2, 2: 3, 3: 5}
    assert result.dialect.record_end == "mixed"


def test_raw_is_the_record_as_it_stands() -> None:
    result = read(b'email,city\r\n a@b.co , "Ro\nme"\r\nbad\r\n"c@d.ef",\r\n')
    assert result.raw == {1: b' a@b.co , "Ro\nme"', 2: b"bad", 3: b'"c@d.ef",'}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("a@b.co,Ana", "has 2 cells, expected 3"),
        ("a@b.co", "has 1 cell, expected 3"),
        ("a@b.co,Ana,Rome,x,y", "has 5 cells, expected 3"),
        ("a@b.co;Ana;Rome", "has 1 cell, expected 3"),
        ('a@b.co,"Ana,Rome', "has a quote in cell 2 (first_name) that is not closed"),
        ('"a@b.co,Ana,Rome', "has a quote in cell 1 (email) that is not closed"),
        ('a@b.co,Ana,"', "has a quote in cell 3 (city) that is not closed"),
        ('a@b.co,"An"a,Rome', "has text after the closing quote of cell 2 (first_name)"),
        ('a@b.co,"he said "hi" to me",Rome', "has text after the closing quote of cell 2 (first_name)"),
        ('a@b.co,Ana",Rome', "has a quote inside the unquoted cell 2 (first_name)"),
        ('a@b.co,A"na,Rome', "has a quote inside the unquoted cell 2 (first_name)"),
        ('a@b.co,Ana"Rome, Italy"', "has a quote inside the unquoted cell 2 (first_name)"),
        ("email,first_name,city", "the header is repeated here"),
    ],
)
@pytest.mark.parametrize("position", ["first", "middle", "last", "last, no line end"])
def test_a_malformed_row_costs_itself_only(record: str, message: str, position: str) -> None:
    good = ['g1@b.co,"A, B",Oslo', "g2@b.co,,", 'g3@b.co,"x\ny",Bern']
    at = {"first": 0, "middle": 1}.get(position, 3)
    records = [*good[:at], record, *good[at:]]
    text = "email,first_name,city\n" + "\n".join(records) + ("" if "no line" in position else "\n")
    result = read(text.encode())
    lines = [2, 3, 4][at] if at < 3 else 6
    assert result.failures == [(at + 1, lines, None, MALFORMED, message)]
    assert result.column("email") == ["g1@b.co", "g2@b.co", "g3@b.co"]
    assert result.column("first_name") == ["A, B", None, "x\ny"]
    assert result.raw[at + 1] == record.encode()


def test_two_malformed_rows_side_by_side_are_two_failures() -> None:
    result = read(b'email,city\na@b.co,"Ro"me\nb@b.co\n"c@b.co","Oslo\nd@b.co,Bern\n')
    assert result.places == [(1, 2, None, MALFORMED), (2, 3, None, MALFORMED), (3, 4, None, MALFORMED)]
    assert result.rows == {4: ("d@b.co", "Bern")}


def test_a_broken_cell_over_lines_is_one_row_up_to_the_next_good_line() -> None:
    result = read(b'email,first_name,city\na@b.co,"one\ntwo\nthree" x,Rome\nb@b.co,Bo,Oslo\n')
    assert result.failures == [
        (1, 2, None, MALFORMED, "has a quote in cell 2 (first_name) that is not closed")
    ]
    assert result.rows == {2: ("b@b.co", "Bo", "Oslo")}
    assert result.raw[1] == b'a@b.co,"one\ntwo\nthree" x,Rome'
    assert result.lines == {1: 2, 2: 5}


def test_a_quoted_cell_that_gives_its_row_the_wrong_width_is_one_row() -> None:
    result = read(b'email,first_name,city\na@b.co,"one\ntwo",Rome,x\nb@b.co,Bo,Oslo\nc@b.co,Cy,Bern\n')
    message = "a quoted cell runs over several lines and leaves a row that has 4 cells, expected 3"
    assert result.failures == [(1, 2, None, MALFORMED, message)]
    assert list(result.rows) == [2, 3]


def test_an_unclosed_quote_far_from_any_other_quote_costs_one_row() -> None:
    rows = [f"u{i}@b.co,City {i}" for i in range(30_000)]
    rows[7] = 'u7@b.co,"City 7'
    result = read(("email,city\n" + "\n".join(rows)).encode())
    assert result.places == [(8, 9, None, MALFORMED)]
    assert len(result.rows) == 29_999


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u200b\t\ufeff", "\u3000\u3000"])
@pytest.mark.parametrize("broken", ["", 'x"y,z\n'])
def test_a_line_of_blanks_of_any_kind_is_no_row(blank: str, broken: str) -> None:
    result = read(
        f"{blank}\nemail,city\n{blank}\na@b.co,Rome\n{blank}\n{broken}c@d.ef,Oslo\n{blank}".encode()
    )
    assert result.column("email") == ["a@b.co", "c@d.ef"]
    assert list(result.lines.values()) == ([4, 6, 7] if broken else [4, 6])


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "||", " "])
def test_blanks_are_trimmed_between_all_delimiters(delimiter: str) -> None:
    result = read(f"email{delimiter}city\n\u00a0a@b.co\u200b{delimiter}\u3000Rome\u00a0\n".encode())
    assert result.cells == [("a@b.co", "Rome")]


@pytest.mark.parametrize("first", ["a@b.co", '"a@b.co"'])
def test_a_byte_order_mark_before_a_record_as_joined_files_have_is_a_blank(first: str) -> None:
    text = f"email,city\nz@z.zz,Bern\n\ufeffemail,city\n\ufeff{first},Rome\n"
    result = read(text.encode())
    assert result.failures == [(2, 3, None, MALFORMED, "the header is repeated here")]
    assert result.rows == {1: ("z@z.zz", "Bern"), 3: ("a@b.co", "Rome")}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "blank", ["", "   ", ",", ' "" , ', ",,,,", '"",""', "\x1a", "\\.", "(2 rows affected)", "---+---"]
)
def test_lines_that_hold_nothing_are_not_rows(blank: str, fast: bool) -> None:
    text = f'email,city\n\n{blank}\na@b.co,Rome\n{blank}\nb@b.co,"x\n,"\n{blank}\n'.encode()
    with patch.object(reader, "read_blocks", partial(csv_blocks.read_blocks, fast=fast)):
        result = read(text)
    assert (result.rows, result.failures) == ({1: ("a@b.co", "Rome"), 2: ("b@b.co", "x\n,")}, [])
    assert result.lines == {1: 4, 2: 6}


def test_a_file_of_delimiters_has_no_rows() -> None:
    result = read(b"email;city\n" + b";\n" * 300_000 + b"a@b.co;Rome\n")
    assert (result.rows, result.lines) == ({1: ("a@b.co", "Rome")}, {1: 300_002})


def test_in_one_column_an_empty_text_and_a_marker_are_rows() -> None:
    result = read(b'word\n""\n\\.\n---\n\x1a\n,,\n', table=None)
    assert result.cells == [("",), ("\\.",), ("---",)]


def test_a_row_of_dashes_is_a_row_unless_it_stands_below_the_header() -> None:
    result = read(b"email,city\n-----,----\na@b.co,Rome\n-----,----\n")
    assert result.rows == {1: ("a@b.co", "Rome"), 2: ("-----", "----")}
    assert result.lines == {1: 3, 2: 4}
    assert result.warnings == ["the line of dashes below the header (line 2) was not used"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            b"Caf\xe9",
            "city 'Caf\ufffd' is not valid UTF-8 (byte 0xE9 at position 4); read as cp1252 it would be 'Café': "
            'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)',
        ),
        (
            "é\udcfc\udc81".encode("utf-8", "surrogateescape"),
            "city 'é\ufffd\ufffd' is not valid UTF-8 (byte 0xFC at position 2): "
            'save the file as "CSV UTF-8", or declare the encoding it has (--encoding NAME)',
        ),
        (b"a\0b", "has a NUL byte (0x00) at position 2"),
        (
            b'"\xff"',
            "city '\ufffd' is not valid UTF-8 (byte 0xFF at position 1); read as cp1252 it would be 'ÿ': "
            'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)',
        ),
        (
            b"\xed\xa0\x80",
            "city '\ufffd\ufffd\ufffd' is not valid UTF-8 (byte 0xED at position 1); read as cp1252 it would be 'í\xa0€': "
            'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)',
        ),
    ],
)
def test_a_cell_that_cannot_be_decoded_is_null_and_named(cell: bytes, message: str) -> None:
    result = read(b"email,city,phone\na@b.co,Rome,1\nb@b.co," + cell + b",2\nc@b.co,Oslo,3\n")
    assert result.failures == [(2, 3, "city", "bad_encoding", message)]
    assert result.cells == [("a@b.co", "1", "Rome"), ("b@b.co", "2", None), ("c@b.co", "3", "Oslo")]


def test_a_failure_shows_bytes_that_no_database_could_hold_as_escapes() -> None:
    chunks = list(opened(b"email,city\n" + b"x\0\xff" + b"y" * 300 + b"\n"))
    (value,) = [value for chunk in chunks for value in chunk.failures.column("value").to_pylist()]
    assert value == "x\\x00\\xff" + "y" * 190 + "…"


def test_a_cell_of_10_mb_is_read_and_one_above_the_limit_is_too_long() -> None:
    big, bigger = "x" * (10 << 20), "y" * ((16 << 20) + 1)
    text = f'email,city\na@b.co,"{big}"\nb@b.co,{bigger}\nc@b.co,Oslo\nd@b.co,"{bigger}"\ne@b.co,Bern\n'
    result = read(text.encode())
    assert result.rows == {1: ("a@b.co", big), 3: ("c@b.co", "Oslo"), 5: ("e@b.co", "Bern")}
    message = "has 16,777,217 bytes in cell 2 (city), the limit is 16,777,216 (BULK_MAX_CELL_BYTES)"
    assert result.failures == [(2, 3, None, "too_long", message), (4, 5, None, "too_long", message)]


def test_10_000_columns_are_read() -> None:
    names = ["email", *(f"c{i}" for i in range(9_998)), "city"]
    result = read((",".join(names) + "\n" + ",".join(["a@b.co"] + ["1"] * 9_998 + ["Rome"]) + "\n").encode())
    assert result.cells == [("a@b.co", "Rome")]
    without = read((",".join(names) + "\n" + ",".join(["1"] * 10_000)).encode(), table=None)
    assert without.cells == [("1",) * 10_000]


def test_columns_of_a_rejected_file_are_ignored_silently_wherever_they_stand() -> None:
    result = read(b'_row,email,_errors,city,_line\n5,a@b.co,"has 2 cells; bad",Rome,6\n')
    assert (result.columns, result.cells, result.warnings) == (("email", "city"), [("a@b.co", "Rome")], [])
    assert read(b"_row,a,_errors\n5,1,2\n", table=None).columns == ("a",)
