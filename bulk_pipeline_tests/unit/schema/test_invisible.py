"""Invisible characters: their set, their names, and agreement with Arrow."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bulk_pipeline.schema import invisible


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u00a0", "no-break space (U+00A0)"),
        ("\u200b", "zero width space (U+200B)"),
        ("\u202e", "right-to-left override (U+202E)"),
        ("\ufeff", "byte order mark (U+FEFF)"),
        ("\u00ad", "soft hyphen (U+00AD)"),
        ("\u3164", "hangul filler (U+3164)"),
        (" ", "space (U+0020)"),
        ("\t", "tab (U+0009)"),
        ("\x85", "next line (U+0085)"),
        ("\x1a", "Ctrl-Z (U+001A)"),
        ("\x01", "control character (U+0001)"),
        ("\x7f", "delete character (U+007F)"),
        ("\u2065", "invisible character (U+2065)"),
    ],
)
def test_a_character_is_called(character: str, name: str) -> None:
    assert invisible.name(character) == name


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n", "\u00a0\u3000", "\u200b\ufeff", "\u3164", "\u2800", "\x01"]
)
def test_nothing_can_be_seen(text: str) -> None:
    assert invisible.is_blank(text)


@pytest.mark.parametrize("text", ["x", ".", " x\u00a0", "é", "北", "❤\ufe0f"])
def test_something_can_be_seen(text: str) -> None:
    assert not invisible.is_blank(text)


def test_arrow_and_python_read_the_classes_alike_for_every_character() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for of_class in (invisible.BLANK_CLASS, invisible.INVISIBLE_CLASS):
        here = re.compile(f"[{of_class}]")
        there = pc.match_substring_regex(pa.array(characters), f"[{of_class}]").to_pylist()
        assert there == [here.search(character) is not None for character in characters]


def test_an_ordinary_blank_and_variation_selectors_of_emojis_are_visible() -> None:
    assert re.search(f"[{invisible.INVISIBLE_CLASS}]", "a b\tc ❤\ufe0f é") is None
