"""The tag `bulk/progress` of a run: how far its load is. Runs that load for less than two seconds have none."""

from collections.abc import Callable
from time import monotonic
from typing import Self

import dagster as dg

from bulk_pipeline.orchestration import run_tags
from bulk_pipeline.stages.pace import duration, pace_of

_SECONDS = 2.0
"""Least time between two updates: each is one UPDATE of the run's row, without an event."""


class RunProgress:
    """Shows on a run how many of its `total` rows are loaded, at most every two seconds.

    At the end, also of a load that fails, the tag keeps the percent and the rows, without the speed.
    """

    def __init__(
        self, instance: dg.DagsterInstance, run_id: str, total: int, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._instance = instance
        self._run_id = run_id
        self._total = total
        self._clock = clock
        self._started_at = self._shown_at = clock()
        self._is_shown = False
        self._processed: dict[str, int] = {}
        self._first: dict[str, int] = {}
        """The rows of each job after its first transaction here: earlier attempts may have loaded most of them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._show(self._text())

    def note(self, job_id: str, processed: int) -> None:
        """Note the rows of a job that have been processed so far."""
        self._processed[job_id] = processed
        self._first.setdefault(job_id, processed)
        now = self._clock()
        if now - self._shown_at >= _SECONDS:
            self._shown_at = now
            self._is_shown = True
            self._show(self._text(now - self._started_at))

    def _text(self, seconds: float = 0.0) -> str:
        processed = sum(self._processed.values())
        rows = processed - sum(self._first.values())
        pace = pace_of(processed, self._total, rows=rows, seconds=seconds)
        parts = [f"{pace.percent}%", f"{processed:,} of {self._total:,} rows"]
        if pace.rows_per_second and pace.seconds_left:
            parts += [f"{pace.rows_per_second:,.0f} rows/s", f"{duration(pace.seconds_left)} left"]
        return ", ".join(parts)

    def _show(self, text: str) -> None:
        run_tags.update(self._instance, self._run_id, {run_tags.PROGRESS: text})
