"""Ctrl-Z at the end of a text is dropped."""

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline_tests.unit.stages.parse.reading import read

ROWS = [("a@b.co", "Rome"), ("c@d.ef", "Oslo")]
WARNING = "the file ends in Ctrl-Z (0x1A), which was dropped"


@pytest.mark.parametrize("end", [b"\x1a", b"\r\n\x1a", b"\n\x1a\n", b"\x1a" * 100, b"\r\n\x1a\x1a\r\n"])
@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_the_mark_is_dropped_alone_or_glued_to_the_last_cell(end: bytes, piece: int) -> None:
    result = read(b"email,city\r\na@b.co,Rome\r\nc@d.ef,Oslo" + end, piece=piece)
    assert (result.cells, result.failures, result.warnings) == (ROWS, [], [WARNING])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("upload.ndjson", b'{"email":"a@b.co","city":"Rome"}\n{"email":"c@d.ef","city":"Oslo"}\n\x1a'),
        ("upload.json", b'[{"email":"a@b.co","city":"Rome"},{"email":"c@d.ef","city":"Oslo"}]\x1a'),
    ],
)
def test_the_mark_is_dropped_from_json_too(name: str, text: bytes) -> None:
    result = read(text, name)
    assert list(zip(result.column("email"), result.column("city"), strict=True)) == ROWS
    assert (result.failures, result.warnings) == ([], [WARNING])


def test_a_mark_elsewhere_is_a_character_like_any_other() -> None:
    result = read(b"email,city\na@b.co,Ro\x1ame\nc@d.ef,Oslo\x1a\ne@f.gh,Bern\n")
    assert (result.column("city"), result.warnings) == (["Ro\x1ame", "Oslo\x1a", "Bern"], [])


def test_a_file_of_the_mark_alone_is_empty() -> None:
    with pytest.raises(FileError, match="it has Ctrl-Z"):
        read(b"\x1a")
