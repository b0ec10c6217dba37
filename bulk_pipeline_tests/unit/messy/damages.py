"""All known kinds of damage to the rows of a delimited file; each damages one row of a clean file."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bulk_pipeline_tests.unit.messy.clean import Clean, Piece

Damage = Callable[[Clean, int], list[Piece]]
"""A function that returns the pieces that replace a row."""


def _rewritten(change: Callable[[list[bytes], Clean], bytes | None]) -> Damage:
    """Return a damage that rewrites the row, without its line end, by `change`; None if the row cannot be damaged that way."""

    def damage(clean: Clean, row: int) -> list[Piece]:
        text = change(list(clean.literals[row]), clean)
        if text is None:
            return []
        return [Piece(text + clean.end, row, touched=True)]

    return damage


def _cell(
    change: Callable[[bytes], bytes | None], *, last: bool = False, quoted: bool | None = None
) -> Damage:
    """Return a damage of the first or last cell that is, or is not, quoted; its bytes are a correct reading of it."""

    def damage(clean: Clean, row: int) -> list[Piece]:
        cells = list(clean.literals[row])
        order = range(len(cells) - 1, -1, -1) if last else range(len(cells))
        for at in order:
            if not cells[at] or (quoted is not None and cells[at].startswith(b'"') != quoted):
                continue
            new = change(cells[at])
            if new is None:
                continue
            also: tuple[tuple[str, ...], ...] = ()
            if b'"' not in new and not any(end in new for end in (b"\r", b"\n", b"\0", clean.delimiter)):
                read = list(clean.cells[row])
                read[at] = new.decode("utf-8", "replace").strip(" \t")
                also = (tuple(read),) if "\ufffd" not in read[at] else ()
            cells[at] = new
            return [Piece(clean.written(cells), row, touched=True, also=also)]
        return []

    return damage


def _joined(clean: Clean, cells: Sequence[bytes]) -> bytes:
    return clean.delimiter.join(cells)


def _drop_delimiter(at: int) -> Damage:
    def change(cells: list[bytes], clean: Clean) -> bytes:
        here = at % (len(cells) - 1)
        return _joined(clean, [*cells[:here], cells[here] + cells[here + 1], *cells[here + 2 :]])

    return _rewritten(change)


def _add_delimiter(at: int) -> Damage:
    def change(cells: list[bytes], clean: Clean) -> bytes:
        here = at % (len(cells) + 1)
        return _joined(clean, [*cells[:here], b"", *cells[here:]])

    return _rewritten(change)


def _other_delimiter(delimiter: bytes) -> Damage:
    return _rewritten(lambda cells, clean: None if delimiter == clean.delimiter else delimiter.join(cells))


def _one_other_delimiter(delimiter: bytes) -> Damage:
    def change(cells: list[bytes], clean: Clean) -> bytes | None:
        if delimiter == clean.delimiter:
            return None
        return _joined(clean, [cells[0] + delimiter + cells[1], *cells[2:]])

    return _rewritten(change)


def _cut(cells: list[bytes], clean: Clean) -> bytes:
    """Cut off the row's last two cells."""
    return _joined(clean, cells[:-2])


def _wrapped(cells: list[bytes], clean: Clean) -> bytes:
    """Write the whole row as one quoted cell, as spreadsheets with another delimiter do."""
    return b'"' + _joined(clean, cells).replace(b'"', b'""') + b'"'


def _padded(cells: list[bytes], clean: Clean) -> bytes:
    blank = b" " if clean.delimiter == b"\t" else b" \t "
    return _joined(clean, [blank + cell + blank for cell in cells])


def _kept(damage: Damage) -> Damage:
    return lambda clean, row: [replace(piece, kept=True) for piece in damage(clean, row)]


def _end(end: bytes, *, kept: bool = True) -> Damage:
    def damage(clean: Clean, row: int) -> list[Piece]:
        text = clean.piece(row).text.removesuffix(clean.end)
        return [Piece(text + end, row, touched=True, kept=kept)]

    return damage


def _merged(clean: Clean, row: int) -> list[Piece]:
    """Remove the end of the record, so that it shares a line with the next one."""
    text = clean.piece(row).text.removesuffix(clean.end)
    return [Piece(text, row, touched=True)]


def _before(*lines: bytes) -> Damage:
    return lambda clean, row: [
        *(Piece(line.replace(b",", clean.delimiter) + clean.end, None) for line in lines),
        clean.piece(row),
    ]


def _prefixed(prefix: bytes) -> Damage:
    return lambda clean, row: [replace(clean.piece(row), text=prefix + clean.piece(row).text, touched=True)]


def _within(extra: bytes, *, at_end: bool = False) -> Callable[[bytes], bytes]:
    """Insert bytes into a cell, within its quotes if it has some."""

    def change(cell: bytes) -> bytes:
        if cell.startswith(b'"'):
            return (
                cell[:-1] + extra + b'"'
                if at_end
                else cell[:2] + extra + cell[2:]
                if cell[1:2] != b'"'
                else cell[:1] + extra + cell[1:]
            )
        return cell + extra if at_end else cell[:1] + extra + cell[1:]

    return change


def _backslash_at_end(clean: Clean, row: int) -> list[Piece]:
    """End a cell with a backslash, which is text in a file without escapes."""
    for at, cell in enumerate(clean.literals[row]):
        if cell.startswith(b'"'):
            read = list(clean.cells[row])
            read[at] += "\\"
            cells = [*clean.literals[row][:at], cell[:-1] + b'\\"', *clean.literals[row][at + 1 :]]
            return [Piece(clean.written(cells), row, touched=True, also=(tuple(read),))]
    return []


def _broken_in_two(end: bytes) -> Damage:
    """Break an unquoted cell by a line end.

    Nothing shows that the two lines were one record, so the larger part may be a row; the smaller one is reported."""

    def damage(clean: Clean, row: int) -> list[Piece]:
        first = clean.literals[row][1]
        if not first or first.startswith(b'"'):
            return []
        cells = [clean.literals[row][0], first[:1] + end + first[1:], *clean.literals[row][2:]]
        return [Piece(clean.written(cells), row, touched=True)]

    return damage


def _repeated_header(change: Callable[[bytes], bytes]) -> Damage:
    return lambda clean, row: [Piece(change(clean.header.text), None), clean.piece(row)]


def _undoubled(cell: bytes) -> bytes | None:
    """Remove one quote of a doubled one inside a cell."""
    inner = cell[1:-1]
    if b'""' not in inner:
        return None
    return cell[:1] + inner.replace(b'""', b'"', 1) + cell[-1:]


ROW_DAMAGES: dict[str, Damage] = {
    **{f"delimiter {at} is missing": _drop_delimiter(at) for at in (0, 1, -1)},
    **{f"a delimiter too many at {at}": _add_delimiter(at) for at in (0, 1, -1)},
    **{
        f"the row has {other!r} between its cells": _other_delimiter(other)
        for other in (b";", b"|", b"\t", b",")
    },
    **{
        f"{other!r} stands for one delimiter": _one_other_delimiter(other)
        for other in (b";", b"|", b"\t", b" ")
    },
    "the last two cells are missing": _rewritten(_cut),
    "only the first cell is there": _rewritten(lambda cells, clean: cells[0]),
    "the cells stand there twice": _rewritten(lambda cells, clean: _joined(clean, cells * 2)),
    "hundreds of cells too many": _rewritten(lambda cells, clean: _joined(clean, cells + [b"x"] * 500)),
    "the row is one quoted cell": _rewritten(_wrapped),
    "cells are padded": _kept(_rewritten(_padded)),
    **{
        f"a stray quote {where} {which} cell": _cell(change, last=last, quoted=False)
        for which, last in (("the first", False), ("the last", True))
        for where, change in (
            ("before", lambda cell: b'"' + cell),
            ("after", lambda cell: cell + b'"'),
            ("inside", _within(b'"')),
        )
    },
    **{
        f"the {which} quote of the {place} quoted cell is {how}": _cell(change, last=last, quoted=True)
        for place, last in (("first", False), ("last", True))
        for which, how, change in (
            ("opening", "missing", lambda cell: cell[1:]),
            ("closing", "missing", lambda cell: cell[:-1]),
            ("opening", "another", lambda cell: b"'" + cell[1:]),
            ("closing", "another", lambda cell: cell[:-1] + b"'"),
            ("closing", "curly", lambda cell: cell[:-1] + "”".encode()),
            ("opening", "doubled", lambda cell: b'"' + cell),
            ("closing", "doubled", lambda cell: cell + b'"'),
        )
    },
    "both quotes are missing": _cell(
        lambda cell: cell[1:-1] if b"\n" in cell or b"," in cell else None, quoted=True
    ),
    "text after the closing quote": _cell(lambda cell: cell + b"x", quoted=True),
    "text before the opening quote": _cell(
        lambda cell: b"x" + cell if b'"' in cell[1:-1] else None, quoted=True
    ),
    "a doubled quote is a single one": _cell(_undoubled, quoted=True),
    "a quote is escaped by a backslash": _cell(_within(b'\\"'), quoted=True),
    "a backslash before the closing quote": _backslash_at_end,
    "a backslash before a delimiter": _cell(_within(b"\\", at_end=True), quoted=False),
    "a backslash before the line end": _cell(_within(b"\\", at_end=True), quoted=False, last=True),
    "a cell in apostrophes": _cell(lambda cell: b"'" + cell + b"'", quoted=False),
    "a cell in curly quotes": _cell(lambda cell: "“".encode() + cell + "”".encode(), quoted=False),
    **{
        f"the record ends with {end!r}": _end(end)
        for end in (b"\r\n", b"\r", b"\n", b"\n\n\n", b"\r\r\n", b"\n\r", b"\n \t \n")
    },
    "the record has no end": _merged,
    **{f"{end!r} inside a cell": _broken_in_two(end) for end in (b"\n", b"\r", b"\r\n")},
    "a line with no cells": _before(b",,"),
    "a line of delimiters": _before(b",,,,,,,,,,,,,,,,,,"),
    "a line with one quote": _before(b'"'),
    "a line with two quotes": _before(b'""'),
    "a line of text": _before(b"Page 2 of 5"),
    "a comment": _before(b"# checked by Ann, on Monday"),
    "two lines of totals": _before(b"", b"Total,14"),
    "a line of dashes": _before(b"-----,-----,-----"),
    "a line that opens a quote": _before(b'"see below'),
    "the header again": _repeated_header(lambda text: text),
    "the header again, in capitals": _repeated_header(bytes.upper),
    "the header again, in quotes": _repeated_header(
        lambda text: b'"' + text.strip().replace(b",", b'","').replace(b";", b'";"') + b'"\n'
    ),
    "the header again, with a byte order mark": _repeated_header(lambda text: b"\xef\xbb\xbf" + text),
    "a byte order mark before the row": _prefixed(b"\xef\xbb\xbf"),
    "a mark of UTF-16 before the row": _prefixed(b"\xff\xfe"),
    "a byte order mark inside a cell": _cell(_within(b"\xef\xbb\xbf"), quoted=False, last=True),
    **{
        f"{extra!r} inside a cell": _cell(_within(extra), quoted=False, last=last)
        for extra in (b"\0", b"\xe9", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80")
        for last in (True,)
    },
    **{
        f"{extra!r} in a quoted cell": _cell(_within(extra), quoted=True)
        for extra in (b"\0", b"\xe9", b"\x80")
    },
    **{
        f"the control character {extra!r} inside a cell": _cell(_within(extra), quoted=False, last=True)
        for extra in (
            b"\x01",
            b"\x0b",
            b"\x0c",
            b"\x1a",
            b"\x1b",
            b"\x1f",
            b"\x7f",
            b"\xc2\x85",
            "\u2028".encode(),
        )
    },
    "the row is in UTF-16": lambda clean, row: [
        Piece(
            clean.piece(row).text.removesuffix(clean.end).decode().encode("utf-16-le") + clean.end,
            row,
            touched=True,
        )
    ],
    "the row is NUL bytes": lambda clean, row: [Piece(b"\0" * 40 + clean.end, row, touched=True)],
    "a long cell": _cell(lambda cell: cell + b"x" * 70_000, quoted=False),
    "a long run of quotes": _cell(lambda cell: b'"' * 2001, quoted=False),
}
