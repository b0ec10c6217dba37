"""Renews leases while a run works, and notices lost leases, cancelled jobs, and jobs that are gone."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Self

from bulk_pipeline.errors import JobCancelledError, JobGoneError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.ledger.job_table import J
from bulk_pipeline.ledger.leases import Lease, Leases


class Heartbeat(Generic[J]):
    """Renews leases in a thread, every `seconds`, during the `with` block.

    It survives an outage: leases are renewed when Postgres is back, unless another run has taken the jobs. `on_beat`
    is called after each renewal with the leases that are still held.
    """

    def __init__(
        self,
        leases: Leases[J],
        held: Iterable[Lease[J]],
        *,
        seconds: float,
        on_beat: Callable[[Iterable[Lease[J]]], None] = lambda held: None,
    ) -> None:
        self._leases = leases
        self._leases_by_job = {lease.job_id: lease for lease in held}
        self._seconds = seconds
        self._on_beat = on_beat
        self._lost: set[str] = set()
        self._cancelled: set[str] = set()
        self._gone: set[str] = set()
        self._interrupts: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    @property
    def held(self) -> list[Lease[J]]:
        """The leases that the run still holds."""
        return list(self._leases_by_job.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self, job_id: str) -> None:
        """Raise `JobGoneError`, `LeaseLostError` or `JobCancelledError` if the run should stop working on the job."""
        noun = self._leases.jobs.noun
        if job_id in self._gone:
            raise JobGoneError(job_id, noun=noun)
        if job_id in self._lost:
            raise LeaseLostError(f"{noun} {job_id} has been taken over")
        if job_id in self._cancelled:
            raise JobCancelledError(f"{noun} {job_id} was cancelled")

    def confirm(self, job_id: str) -> None:
        """Renew now, and raise like `check` unless the run holds the job, or `StoreUnavailableError` in an outage."""
        self.beat()
        self.check(job_id)
        if job_id not in self._leases_by_job:
            raise LeaseLostError(f"{self._leases.jobs.noun} {job_id} has been ended")

    @contextmanager
    def hearing(self, job_id: str) -> Iterator[None]:
        """If the block raises `StoreUnavailableError`, raise the error of `check` instead if there is one: a statement
        interrupted by a cancel looks like an outage."""
        try:
            yield
        except StoreUnavailableError:
            self.check(job_id)
            raise

    def interrupt_by(self, job_id: str, interrupt: Callable[[], None]) -> None:
        """Call `interrupt` at each beat once the run should stop working on the job, to end its waiting statements."""
        self._interrupts[job_id].append(interrupt)

    def beat(self) -> None:
        """Renew all leases once, record lost and cancelled ones, and interrupt the work that should stop."""
        if held := self.held:
            news = self._leases.renew(held)
            self._cancelled |= news.cancelled
            self._lost |= news.lost
            self._gone |= news.gone
            for job_id in news.lost | news.gone | news.ended:
                self._leases_by_job.pop(job_id, None)
            self._on_beat(self.held)
        for job_id in self._cancelled | self._lost | self._gone:
            for interrupt in self._interrupts[job_id]:
                interrupt()

    def _beat_on(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.beat()
            except StoreUnavailableError:
                continue
