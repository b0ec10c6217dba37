"""Answers are kept for a moment, and nobody asks twice at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bulk_pipeline.api.fresh import Fresh


def test_an_answer_is_kept_for_a_while() -> None:
    asked: list[int] = []
    kept = Fresh(lambda: asked.append(1) or len(asked), seconds=3600)
    assert [kept.answer().result(10), kept.answer().result(10)] == [1, 1]


def test_an_answer_that_is_old_is_asked_for_again() -> None:
    asked: list[int] = []
    kept = Fresh(lambda: asked.append(1) or len(asked), seconds=-1)
    assert [kept.answer().result(10), kept.answer().result(10)] == [1, 2]


def test_an_error_is_an_answer() -> None:
    def ask() -> int:
        raise ValueError("no")

    kept = Fresh(ask, seconds=-1)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            kept.answer().result(10)


def test_of_many_at_once_one_asks() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def ask() -> int:
        asked.append(1)
        go_on.wait(10)
        return len(asked)

    kept = Fresh(ask, seconds=3600)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: kept.answer(), range(50)))
    go_on.set()
    assert {answer.result(10) for answer in answers} == {1}
