"""Logs the progress of a load or an export, at most once every few seconds."""

from collections.abc import Callable
from time import monotonic

_SECONDS = 2.0


class Progress:
    """Calls `tell` with a text, unless it was called a few seconds ago."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told_at = monotonic()

    def __call__(self, text: str, *, is_end: bool = False) -> None:
        """Report the text; with `is_end`, in any case."""
        if is_end or monotonic() - self._told_at >= _SECONDS:
            self._told_at = monotonic()
            self._tell(text)
