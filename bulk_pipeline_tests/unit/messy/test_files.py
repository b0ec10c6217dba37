"""Damage to headers and whole files: columns are matched by name, or by position with a warning if no line can be a
header; otherwise the file is refused with the actual and the expected columns."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline_tests.unit.messy.clean import ROWS, Clean, Piece, clean
from bulk_pipeline_tests.unit.messy.oracle import Read, problems, read

TABLES = tables.names()
PLACED = tuple(table for table in TABLES if table != "customers")
"""Tables whose columns can be matched by position; customers have only one recognisable column."""

Header = Callable[[Clean], bytes]


def joined(clean: Clean, names: list[str]) -> bytes:
    return clean.delimiter.join(name.encode() for name in names) + clean.end


def each(change: Callable[[str], str]) -> Header:
    return lambda clean: joined(clean, [change(name) for name in clean.names])


def above(*lines: bytes) -> Header:
    return lambda clean: b"".join(line + clean.end for line in lines) + clean.header.text


NAMED: dict[str, Header] = {
    "as it is": each(str),
    "in capitals": each(str.upper),
    "in words": each(lambda name: name.replace("_", " ").title()),
    "padded": each(lambda name: f"  {name} "),
    "quoted": each(lambda name: f'"{name}"'),
    "after a byte order mark": lambda clean: b"\xef\xbb\xbf" + clean.header.text,
    "after two byte order marks": lambda clean: b"\xef\xbb\xbf" * 2 + clean.header.text,
    "below a title": above(b"All of them, as of Monday"),
    "below a title and a byte order mark": lambda clean: b"Export\n\xef\xbb\xbf" + clean.header.text,
    "below three lines": above(b"Export", b"# by Ann", b""),
    "below blank lines": above(b"", b" ", b"\t"),
    "below a line of delimiters": above(b",,,"),
    "below a title of the same words": above(b"Email,Id"),
    "below a hint for spreadsheets": above(b"sep=,"),
    "below groups of names": above(b"Who,,,What,"),
    "with another record end": lambda clean: clean.header.text.replace(clean.end, b"\r"),
}
REFUSED: dict[str, Header] = {
    "none, but a title": lambda clean: b"All of them" + clean.end,
    "in another language": lambda clean: joined(clean, [f"Feld {n}" for n in range(len(clean.names))]),
    "numbered": lambda clean: joined(clean, [str(n) for n in range(len(clean.names))]),
    "with a typing mistake": lambda clean: joined(
        clean, [f"x{n}" if n in ("id", "email") else n for n in clean.names]
    ),
    "without a delimiter": lambda clean: clean.header.text.replace(clean.delimiter, b"", 1),
    "with a quote too many": lambda clean: b'"' + clean.header.text,
    "with a quote at its end": lambda clean: clean.header.text.strip() + b'"' + clean.end,
    "with bytes that are no text": lambda clean: clean.header.text.replace(b"i", b"\xed"),
    "with NUL bytes": lambda clean: clean.header.text.replace(b"i", b"i\0"),
    "in UTF-16": lambda clean: clean.header.text.decode().strip().encode("utf-16-le") + clean.end,
    "of other columns": lambda clean: joined(clean, ["sku", "price", "sku2", "city"]),
    "over two lines": lambda clean: (
        joined(clean, [n.split("_")[0][:2] for n in clean.names])
        + joined(clean, [n[2:] for n in clean.names])
    ),
    "of the columns in another order, one of them unknown": lambda clean: joined(
        clean, [f"x{n}" if n in ("id", "email") else n for n in reversed(clean.names)]
    ),
    "with a name twice": lambda clean: joined(clean, [*clean.names[:-1], clean.names[0]]),
}


def seen_of(file: Clean, header: bytes) -> tuple[Read, list[Piece]]:
    pieces = [Piece(header, None), *file.pieces[1:]]
    return read(b"".join(piece.text for piece in pieces), file.table, file.names), pieces


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("what", NAMED)
def test_a_header_is_found_by_its_names(what: str, table: str) -> None:
    file = clean(table)
    seen, pieces = seen_of(file, NAMED[what](file))
    assert problems(file, pieces, seen) == []
    assert (len(seen.good), seen.failures) == (ROWS, [])
    assert not [warning for warning in seen.warnings if "position" in warning]


@pytest.mark.parametrize("hint", [b"", b"sep=,\n"])
@pytest.mark.parametrize("table", PLACED)
def test_columns_are_matched_by_position_with_a_warning_if_no_line_can_be_a_header(
    table: str, hint: bytes
) -> None:
    file = clean(table)
    seen, pieces = seen_of(file, hint)
    assert problems(file, pieces, seen) == []
    assert (len(seen.good), seen.failures) == (ROWS, [])
    warning = next(warning for warning in seen.warnings if "position" in warning)
    assert ", ".join(file.names) in warning


def test_a_file_without_header_is_refused_where_its_cells_do_not_tell_the_columns() -> None:
    with pytest.raises(FileError, match=r"found .*; expected columns of customers: .* declare header: none"):
        seen_of(clean("customers"), b"")


@pytest.mark.parametrize("what", REFUSED)
def test_a_header_that_cannot_be_used_is_shown_with_the_expected_one(what: str) -> None:
    for table in TABLES:
        file = clean(table)
        with pytest.raises(FileError, match=r"found .*|names '.*' twice") as caught:
            seen_of(file, REFUSED[what](file))
        assert "expected columns of" in str(caught.value) or caught.value.code == "duplicate_header"


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_loaded_under_a_header_with_another_delimiter(table: str) -> None:
    file = clean(table)
    good: list[object] = []
    with contextlib.suppress(FileError):
        good += seen_of(file, file.header.text.replace(file.delimiter, b"|"))[0].good
    assert good == []


@pytest.mark.parametrize("table", PLACED)
@pytest.mark.parametrize("bad", range(3))
def test_a_damaged_row_in_a_file_without_header_is_reported_wherever_it_stands(table: str, bad: int) -> None:
    file = clean(table)
    for text in (
        file.written(file.literals[bad][:-1]),
        file.written([*file.literals[bad], b"x"]),
        file.written([b"x", *file.literals[bad][1:]]),
        b'"' + file.piece(bad).text,
    ):
        pieces = [piece if piece.row != bad else Piece(text, bad, touched=True) for piece in file.pieces[1:]]
        seen = read(b"".join(piece.text for piece in pieces), table, file.names)
        assert problems(file, pieces, seen) == []
        assert len(seen.good) == ROWS - 1


def second_tables(file: Clean) -> dict[str, bytes]:
    order = list(reversed(range(len(file.names))))
    turned = [[row[at] for at in order] for row in file.literals]
    swapped = [1, 0, *range(2, len(file.names))]
    other = next(table for table in TABLES if table != file.table and "id" in clean(table).names)
    return {
        "of the same columns in another order": joined(file, [file.names[at] for at in order])
        + b"".join(file.written(row) for row in turned),
        "of the same columns, two of them exchanged": joined(file, [file.names[at] for at in swapped])
        + b"".join(file.written([row[at] for at in swapped]) for row in file.literals),
        "of another table": b"".join(piece.text for piece in clean(other).pieces),
        "of fewer columns": joined(file, list(file.names[:-1]))
        + b"".join(file.written(row[:-1]) for row in file.literals),
        "of more columns": joined(file, ["more", *file.names])
        + b"".join(file.written([b"x", *row]) for row in file.literals),
    }


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("between", "block"), [(b"", None), (b"\n\n", 300), (b"The others\n", None)])
def test_no_row_of_a_second_table_is_taken_for_one_of_the_first(
    table: str, between: bytes, block: int | None
) -> None:
    file = clean(table)
    half = file.only(ROWS // 2)
    for what, second in second_tables(file).items():
        again = [file.header, *(replace(file.piece(row)) for row in range(ROWS // 2, ROWS))]
        pieces = [*half.pieces, Piece(between + second, None), *again]
        seen = read(b"".join(piece.text for piece in pieces), table, file.names, block)
        assert problems(file, pieces, seen) == [], what
        assert len(seen.good) == ROWS, what


@pytest.mark.parametrize(
    "end", [b"", b"\n\n", b"\r\n\r\n", b"\n \n", b"\r", b"\x1a", b"\n\x1a", b"\n\0\0\0\0"]
)
def test_the_end_of_the_file_costs_nothing(end: bytes) -> None:
    for table, block in zip(TABLES, (None, 64, 100, 300), strict=True):
        file = clean(table)
        *before, last = file.pieces
        pieces = [*before, replace(last, text=last.text.strip()), Piece(end, None)]
        if end == b"\x1a":
            pieces[-2] = replace(
                pieces[-2], touched=True, also=((*file.cells[-1][:-1], file.cells[-1][-1] + "\x1a"),)
            )
        seen = read(b"".join(piece.text for piece in pieces), table, file.names, block)
        assert problems(file, pieces, seen) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_in_another_encoding_is_the_same_file(encoding: str) -> None:
    for table in TABLES:
        file = clean(table)
        text = b"".join(piece.text for piece in file.pieces).decode()
        seen = read(text.encode(encoding), table, file.names)
        assert problems(file, file.pieces, seen) == []
        assert len(seen.good) == ROWS


@pytest.mark.long
@pytest.mark.parametrize("table", TABLES)
def test_a_file_that_is_cut_short_anywhere_loses_its_last_row_only(table: str) -> None:
    file = clean(table)
    data = b"".join(piece.text for piece in file.pieces)
    whole = data[: -len(file.pieces[-1].text)]
    for at in range(len(whole), len(data) - 1):
        seen = read(data[:at], table, file.names, 300)
        good = [cells for _, cells in seen.good]
        assert good[: ROWS - 1] == list(file.cells[:-1])
        assert len(good) < ROWS or good[-1][:-1] == file.cells[-1][:-1]
