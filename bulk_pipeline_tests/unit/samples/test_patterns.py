"""Texts that match a pattern, by number."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bulk_pipeline.samples.patterns import PatternTexts, texts_of

PATTERNS = [
    r"[A-Z]-\d+",
    r"[a-z0-9]+(-[a-z0-9]+)*",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"\+?\d{1,3} \d{4,}",
    r"(foo|foobar)ba[zr]",
    r"(?:DE|AT|CH)-\d{4}",
    r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}",
    r"(?P<word>\w+?)\W\S\D",
    "a*",
]


def made(pattern: str, *, distinct: bool = True, max_length: int | None = 40) -> PatternTexts:
    found = texts_of(pattern, wanted=10**6, max_length=max_length, distinct=distinct)
    assert found is not None
    return found


def numbers(texts: PatternTexts) -> np.ndarray:
    return np.unique(np.linspace(0, texts.count - 1, 500).astype(np.uint64))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("distinct", [True, False])
def test_texts_match_their_pattern(pattern: str, distinct: bool) -> None:
    texts = made(pattern, distinct=distinct)
    cells = texts.nth(numbers(texts))

    assert pc.all(pc.match_substring_regex(cells, rf"\A(?:{pattern})\z")).as_py()
    assert pc.max(pc.utf8_length(cells)).as_py() <= texts.length <= 40


@pytest.mark.parametrize("pattern", PATTERNS)
def test_different_numbers_give_different_texts(pattern: str) -> None:
    texts = made(pattern)
    cells = texts.nth(numbers(texts))

    assert len(pc.unique(cells)) == len(cells)


def test_there_are_as_many_texts_as_are_wanted_where_the_length_allows_it() -> None:
    assert made(r"[A-Z]-\d+").count >= 10**6
    assert made(r"[A-Z]-\d+", max_length=5).count == 26 * 10**3


def test_all_alternatives_are_used_where_texts_may_repeat() -> None:
    cells = made("north|south|west", distinct=False).nth(np.arange(6, dtype=np.uint64))

    assert cells == pa.array(["north", "south", "west"] * 2)


@pytest.mark.parametrize("pattern", [r"\pL+", r"\bword", r"x{9}y{9}"])
def test_a_pattern_that_has_no_texts_here_says_so(pattern: str) -> None:
    assert texts_of(pattern, wanted=1, max_length=10, distinct=False) is None
