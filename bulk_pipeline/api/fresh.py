"""Answers that are kept for a moment, so that whoever asks often cannot load what is asked."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """One question, asked anew when its last answer is older than `seconds`; by one thread at a time.

    A question that is never answered costs that one thread, which keeps nobody from exiting.
    """

    def __init__(self, ask: Callable[[], T], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answer: Future[T] | None = None
        self._answered_at = 0.0

    def answer(self) -> Future[T]:
        """The answer, which may be on its way."""
        with self._lock:
            if self._answer is None or (self._answer.done() and self._is_old()):
                self._answer = Future()
                threading.Thread(target=self._find, args=(self._answer,), daemon=True).start()
            return self._answer

    def _is_old(self) -> bool:
        return time.monotonic() - self._answered_at > self._seconds

    def _find(self, answer: Future[T]) -> None:
        try:
            found = self._ask()
        except BaseException as error:
            self._answered_at = time.monotonic()
            answer.set_exception(error)
        else:
            self._answered_at = time.monotonic()
            answer.set_result(found)
