"""Keeps leases alive while work goes on, and notices lost leases, cancels, and jobs that are gone."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from bulk_pipeline.errors import JobCancelledError, JobGoneError, LeaseLostError
from bulk_pipeline.stores.beating import Beating
from bulk_pipeline.stores.leases import Lease
from bulk_pipeline.stores.postgres import Postgres


class Heartbeat(Beating):
    """Beats for some leases."""

    def __init__(self, postgres: Postgres, leases: Iterable[Lease], *, seconds: float) -> None:
        super().__init__(seconds)
        self._postgres = postgres
        self._held = {lease.job_id: lease for lease in leases}
        self._lost: set[str] = set()
        self._cancelled: set[str] = set()
        self._gone: set[str] = set()
        self._interrupts: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def check(self, job_id: str) -> None:
        """Raise `JobGoneError`, `LeaseLostError` or `JobCancelledError` if the work on the job should stop."""
        if job_id in self._gone:
            raise JobGoneError(job_id)
        if job_id in self._lost:
            raise LeaseLostError(f"job {job_id} has been taken over")
        if job_id in self._cancelled:
            raise JobCancelledError(f"job {job_id} was cancelled; the rows committed so far stay")

    def interrupt_by(self, job_id: str, interrupt: Callable[[], None]) -> None:
        """Call `interrupt` at every beat once the work on the job should stop: it ends what the work waits for."""
        self._interrupts[job_id].append(interrupt)

    def beat(self) -> None:
        """Renew all leases once, look for news, and interrupt what should stop."""
        if self._held:
            self._renew()
        for job_id in self._cancelled | self._lost | self._gone:
            for interrupt in self._interrupts[job_id]:
                interrupt()

    def _renew(self) -> None:
        leases = list(self._held.values())
        held = {
            "ids": [lease.job_id for lease in leases],
            "attempts": [lease.attempt for lease in leases],
            "run_ids": [lease.run_id for lease in leases],
        }
        with self._postgres.transaction() as connection:
            renewed = {str(job_id) for (job_id,) in connection.execute(_BEAT, held)}
            news = connection.execute(_NEWS, held).fetchall()
        for found, attempt, is_final, is_cancelled in news:
            job_id = str(found)
            if is_cancelled:
                self._cancelled.add(job_id)
            if job_id not in renewed:
                lease = self._held.pop(job_id)
                if not (is_final and attempt == lease.attempt):  # else this run has finished it itself
                    self._lost.add(job_id)
        for job_id in {lease.job_id for lease in leases} - {str(row[0]) for row in news}:
            del self._held[job_id]
            self._gone.add(job_id)


_BEAT = """
    UPDATE bulk.job_leases AS lease
    SET heartbeat_at = clock_timestamp()
    FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(run_ids)s::text[])
        AS held (job_id, attempt, run_id)
    WHERE (lease.job_id, lease.attempt, lease.run_id) = (held.job_id, held.attempt, held.run_id)
    RETURNING lease.job_id
"""

_NEWS = """
    SELECT id, attempt, status NOT IN ('pending', 'processing'), cancel_requested_at IS NOT NULL
    FROM bulk.import_jobs
    WHERE id = ANY (%(ids)s::uuid[])
"""
