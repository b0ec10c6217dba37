"""Hostile files are read, in a separate process, within the memory of a run."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bulk_pipeline_tests.bombs import json_bombs, packed_bombs, sheet_bombs
from bulk_pipeline_tests.bombs.bomb import Bomb
from bulk_pipeline_tests.bombs.reading import cost

MOST_BYTES = 400_000_000
"""Additional memory for reading. A run may have 700 MB, of which it uses about 250 MB before."""


def _named(bombs: Iterable[Bomb], kind: str, suffix: str) -> Bomb:
    return next(bomb for bomb in bombs if (bomb.kind, bomb.suffix) == (kind, suffix))


@pytest.mark.parametrize("suffix", [pytest.param(".ndjson", id="ndjson"), pytest.param(".json", id="json")])
@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        pytest.param("a million keys in one object", "3 rows, 1 rejected", id="keys"),
        pytest.param("two million equal keys", "3 rows, 1 rejected", id="equal keys"),
        pytest.param("four million numbers in a cell", "3 rows, 1 rejected", id="numbers"),
        pytest.param("arrays nested a million deep", "3 rows, 1 rejected", id="depth"),
        pytest.param("numbers of four million digits", "6 rows, 4 rejected", id="digits"),
        pytest.param("a key of 16 MB", "3 rows, 1 rejected", id="key"),
    ],
)
def test_a_bomb_costs_no_more_memory_than_a_run_may_have(
    kind: str, suffix: str, verdict: str, tmp_path: Path
) -> None:
    assert read(_named(json_bombs.BOMBS, kind, suffix), tmp_path) == verdict


def test_a_text_that_nobody_closes_costs_no_more_memory_than_a_run_may_have(tmp_path: Path) -> None:
    assert (
        read(_named(json_bombs.BOMBS, "a text that nobody closes", ".json"), tmp_path) == "3 rows, 1 rejected"
    )


@pytest.mark.parametrize("method", ["bzip2", "LZMA"])
def test_a_zip_of_another_method_is_not_unpacked(method: str, tmp_path: Path) -> None:
    verdict = read(_named(packed_bombs.BOMBS, f"400 MB of line breaks, {method}", ".zip"), tmp_path)
    assert re.match(f"unsupported_format: .* is compressed with {method}, which is not supported", verdict)


def test_a_part_of_a_workbook_that_is_packed_by_another_method_is_not_unpacked(tmp_path: Path) -> None:
    bomb = _named(packed_bombs.BOMBS, "400 MB of line breaks, bzip2", ".xlsx")
    assert (
        read(bomb, tmp_path)
        == "unreadable_file: the .xlsx file is damaged: open it in a spreadsheet program and save it again"
    )


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("a text of 60 kB in 8190 cells", "too_large: .* looks like a compression bomb"),
        ("a text of 90 MB in 100 cells", "51 rows, 50 rejected"),
        ("a column name of 60 kB, a million rows", "too_large: the name of column 2 .* has 60,000 bytes"),
        ("a row that says it is the last", "2 rows, 1 rejected"),
        ("four million styles", "too_large: .* has more than 200,000 elements"),
        ("a number format of 1 MB", "too_large: .* a number format has 1,000,000 characters"),
        ("one sheet ten thousand times", "unreadable_file: .* two of its sheets are the same part"),
        ("an attribute of 90 MB", "too_large: .* has a tag of more than 1,048,576 bytes"),
        ("elements nested a million deep", "too_large: .* stand more than 1,000 deep"),
        ("other names of elements", "too_large: .* has more than 10,000 names of elements"),
    ],
)
def test_a_workbook_costs_no_more_memory_than_a_run_may_have(kind: str, verdict: str, tmp_path: Path) -> None:
    assert re.match(verdict, read(_named(sheet_bombs.BOMBS, kind, ".xlsx"), tmp_path))


def read(bomb: Bomb, folder: Path) -> str:
    """Return the result of a bomb, and check its memory."""
    path = folder / bomb.name
    path.write_bytes(bomb.make())
    result = cost(path)
    assert result.peak_bytes - result.idle_bytes < MOST_BYTES
    return result.verdict
