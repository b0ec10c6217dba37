"""Untrusted text is shown on one line, and never controls a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.printable import printable


@given(st.text())
def test_nothing_is_left_that_a_terminal_or_a_log_would_obey(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_visible_characters_stay_unchanged(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("march.csv\nERROR all is lost", "march.csv\\nERROR all is lost"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\u202egpj.csv", "a\\u202egpj.csv"),
        ("März 文件 😀", "März 文件 😀"),
    ],
)
def test_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
