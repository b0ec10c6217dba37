"""Damage to one row of any table: no wrong data are loaded silently, only the bad row is rejected, and line numbers are
exact."""

import random
from dataclasses import replace
from itertools import cycle, islice, product

import pytest

from bulk_pipeline import tables
from bulk_pipeline_tests.seeds import SEEDS
from bulk_pipeline_tests.unit.messy.clean import ROWS, Clean, Piece, clean
from bulk_pipeline_tests.unit.messy.damages import ROW_DAMAGES
from bulk_pipeline_tests.unit.messy.oracle import problems, read

TABLES = tables.names()
STYLES = (
    (b",", b"\n", False),
    (b";", b"\r\n", True),
    (b"\t", b"\n", False),
    (b"|", b"\r", True),
    (b",", b"\r\n", True),
)
BLOCKS = (None, 64, 300, 1000)
PLACES = (0, 1, 6, 7, ROWS - 2, ROWS - 1)


def damaged(file: Clean, what: str, row: int) -> list[Piece] | None:
    """Return the pieces of the file with one damaged row, or None if that row cannot be damaged that way."""
    new = ROW_DAMAGES[what](file, row)
    if not new:
        return None
    after = [file.piece(at) for at in range(row + 1, ROWS)]
    if what == "the record has no end" and after:
        after[0] = replace(after[0], touched=True)
    return [file.header, *(file.piece(at) for at in range(row)), *new, *after]


def broken_promises(
    what: str, table: str, style: int, row: int, block: int | None, *, known: bool
) -> list[str]:
    delimiter, end, quoted = STYLES[style]
    file = clean(table, delimiter, end, quoted=quoted)
    pieces = damaged(file, what, row)
    if pieces is None:
        return []
    seen = read(b"".join(piece.text for piece in pieces), table if known else None, file.names, block)
    return problems(file, pieces, seen, with_table=known)


@pytest.mark.parametrize("what", ROW_DAMAGES)
def test_a_damaged_row_costs_itself_and_is_reported(what: str) -> None:
    """Style, place and window vary with the damage; the campaign below tests all combinations."""
    turn = list(ROW_DAMAGES).index(what)
    for at, known in enumerate((True, True, False)):
        table, style, place = (
            (turn + at) % len(TABLES),
            (turn + at) % len(STYLES),
            (turn + 2 * at) % len(PLACES),
        )
        block = BLOCKS[(turn + at) % len(BLOCKS)]
        broken = broken_promises(what, TABLES[table], style, PLACES[place], block, known=known)
        assert broken == [], (TABLES[table], STYLES[style], PLACES[place], block, known)


@pytest.mark.long
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("style", range(len(STYLES)))
def test_every_damage_at_every_place(table: str, style: int) -> None:
    """With 14 seeds or more, all combinations of a damage and a row; with fewer, a hundred for each seed.

    Windows alternate, as do reading with and without a table.
    """
    combinations = list(product(ROW_DAMAGES, range(ROWS)))
    drawn = random.Random(f"{table} {style}").sample(combinations, min(len(combinations), 100 * SEEDS))
    windows = islice(cycle(product(BLOCKS, (True, False))), TABLES.index(table) + style, None)
    for (what, row), (block, known) in zip(drawn, windows, strict=False):
        broken = broken_promises(what, table, style, row, block, known=known)
        assert broken == [], (what, row, block, known)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("style", range(len(STYLES)))
def test_the_clean_file_is_read_as_it_is(table: str, style: int) -> None:
    delimiter, end, quoted = STYLES[style]
    file = clean(table, delimiter, end, quoted=quoted)
    for known, block in ((table, 300), (None, None)):
        seen = read(b"".join(piece.text for piece in file.pieces), known, file.names, block)
        assert problems(file, file.pieces, seen, with_table=known is not None) == []
        assert (len(seen.good), seen.failures) == (ROWS, [])
