"""Stores the materializations of a run's files in Dagster's event log, several in one transaction."""

from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Self

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, generate_event_batch_id

_TOGETHER = 20


class Materializations:
    """The materializations of one asset; pending ones are stored at the end of the `with` block.

    Without `are_batched`, Dagster stores each at once, in its own way. If files take longer than `patience_seconds`,
    each materialization is stored as soon as its file is done.

    A materialization stored alone takes three messages to Postgres, while other threads wait: a sixth of the time of
    1,000 small files. Dagster (1.13.27) stores its own events in batches, if the process has `code_server.EVENTS`, but
    has no public name for that. A run that is killed loses pending materializations; the ledger still has their jobs.
    """

    def __init__(
        self, context: dg.OpExecutionContext, *, are_batched: bool = True, patience_seconds: float = 2.0
    ) -> None:
        self._context = context
        self._are_batched = are_batched
        self._patience_seconds = patience_seconds
        self._pending: list[dg.AssetMaterialization] = []
        self._stored_at = monotonic()
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store()

    def add(self, materialization: dg.AssetMaterialization) -> None:
        """Store a materialization, now or with the next ones."""
        if not self._are_batched:
            self._context.log_event(materialization)
            return
        with self._lock:
            self._pending.append(materialization)
            is_time = monotonic() - self._stored_at > self._patience_seconds
            if is_time or len(self._pending) == _TOGETHER:
                self._store()

    def _store(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        step, batch_id = self._context.get_step_execution_context(), generate_event_batch_id()
        for number, materialization in enumerate(pending, 1):
            batch = DagsterEventBatchMetadata(batch_id, is_end=number == len(pending))
            DagsterEvent.asset_materialization(step, materialization, batch)
        self._stored_at = monotonic()
