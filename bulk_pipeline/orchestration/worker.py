"""A run's hold on its jobs: leases, heartbeats, and what each kind of trouble means for a job.

A problem of one file fails that file's job alone. An outage or a bug gives the job back, to be tried again later by
a run of its own. Whatever went wrong, the run says so in the end. A job whose row is gone from the ledger is no
trouble: the run stops working on it and writes nothing more for it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from bulk_pipeline import traces
from bulk_pipeline.errors import (
    FileError,
    JobCancelledError,
    JobFinishedError,
    JobGoneError,
    LeaseLostError,
    LoadRefusedError,
    StoreUnavailableError,
)
from bulk_pipeline.orchestration.budget import TooManyRejectedRowsError
from bulk_pipeline.orchestration.run_process import RunProcess
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.printable import printable
from bulk_pipeline.stores.heartbeat import Heartbeat
from bulk_pipeline.stores.jobs import ImportJob, Status, as_uuid, new_id
from bulk_pipeline.stores.leases import Lease

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.work import WorkLocation


class Log(Protocol):
    """Where a worker tells what happens; Dagster's log, for one."""

    def info(self, msg: str, /) -> None: ...
    def warning(self, msg: str, /) -> None: ...
    def error(self, msg: str, /) -> None: ...


class Worker:
    """The jobs that one run works on; a context manager that gives back what is not finished.

    `repeats`: the run repeats another one, so the files of jobs that failed are imported anew; by the run itself
    if it `starts_over`, at parse.
    `was_cancelled` says, once the run is interrupted, whether a person has asked for that.
    """

    def __init__(
        self,
        stores: Stores,
        run_id: str,
        log: Log,
        *,
        repeats: bool,
        starts_over: bool,
        was_cancelled: Callable[[], bool],
    ) -> None:
        self.stores = stores
        self._run_id = run_id
        self._log = log
        self._repeats = repeats
        self._starts_over = starts_over
        self._was_cancelled = was_cancelled
        self._held: dict[str, Lease] = {}
        self._is_shared = False
        """If one of several jobs has ended the process of the run, nobody knows which one it was."""
        self._heartbeats: dict[str, Heartbeat] = {}
        self._exit = ExitStack()
        self._outage: str | None = None
        """What has ended the run, which Dagster does not tell: it leaves its resources without an exception."""
        self.trouble: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = self._outage or (str(error) if error else None) or "the run ended before the job did"
        for lease in list(self._held.values()):
            self._give_back(lease, why)
        self._exit.close()

    def to_take(self, job_ids: Iterable[str]) -> list[str]:
        """The jobs themselves or, in a run that repeats another, new ones for the files of those that failed."""
        if not self._repeats:
            return list(job_ids)
        return [taken for job_id in job_ids if (taken := self._to_repeat(job_id)) is not None]

    def take(self, job_ids: Iterable[str]) -> list[ImportJob]:
        """Lease those of the jobs that are in the ledger and not final.

        `LeaseHeldError` if another run is at work on one.
        """
        asked = list(job_ids)
        new = [job_id for job_id in asked if job_id not in self._held]
        self._is_shared |= len(asked) > 1
        try:
            leases = self._lease(new)
        except StoreUnavailableError as error:
            self._outage = str(error)
            raise
        if leases:
            heartbeat = Heartbeat(
                self.stores.postgres, leases, seconds=self.stores.settings.bulk_heartbeat_seconds
            )
            self._exit.enter_context(heartbeat)
            self._held |= {lease.job_id: lease for lease in leases}
            self._heartbeats |= {lease.job_id: heartbeat for lease in leases}
        taken = {lease.job_id for lease in leases}
        for job_id in new:
            if job_id not in taken:
                self._log.info(f"job {job_id} is finished or gone from the ledger: nothing to do")
        return [self._held[job_id].job for job_id in asked if job_id in self._held]

    def check(self, job: ImportJob) -> None:
        """Raise, inside of `working_on`, if heartbeats have found that the work on the job should stop."""
        self._heartbeats[job.id].check(job.id)

    def work(self, job: ImportJob) -> "WorkLocation":
        """The work location for a step of the job, which stops at the next batch if it should."""
        return replace(self.stores.work, check=partial(self.check, job))

    def interrupt_by(self, job: ImportJob, interrupt: Callable[[], None]) -> None:
        """Have `interrupt`, from another thread, end what a step of the job waits for, if the step should stop."""
        self._heartbeats[job.id].interrupt_by(job.id, interrupt)

    @contextmanager
    def working_on(self, job: ImportJob) -> Iterator[None]:
        """Work on a job that was taken; its troubles end here, an outage ends the run."""
        lease = self._held[job.id]
        try:
            with self._ending(job, lease):
                yield
        except JobGoneError:
            self._forget(job)
        except LeaseLostError as error:
            self._drop(job, str(error))
        except StoreUnavailableError as error:
            self._outage = str(error)
            raise
        except Exception as error:
            self._log.error("\n".join([f"{job.label}: unexpected error", *traces.lines(error)]))
            self._give_back(lease, f"{type(error).__name__}: {error}")
            self._drop(job, traces.summary(error))

    @contextmanager
    def _ending(self, job: ImportJob, lease: Lease) -> Iterator[None]:
        """End the job if its file cannot be read, the table cannot take its rows, or somebody has cancelled it."""
        try:
            with self._hearing(job):
                yield
        except TooManyRejectedRowsError as error:
            self.stores.attempts.fail_file(
                job.id,
                lease.attempt,
                str(error),
                code=error.code,
                failure_counts=error.codes,
                reports=error.reports,
            )
            self._drop(job, str(error))
            self._remove_files(job)
        except FileError as error:
            self.stores.attempts.fail_file(job.id, lease.attempt, str(error), code=error.code)
            self._drop(job, str(error))
            self._remove_files(job)
        except LoadRefusedError as error:
            self.stores.attempts.fail_file(job.id, lease.attempt, str(error), code="load_refused")
            self._drop(job, str(error))
            self._remove_files(job)
        except JobCancelledError as error:
            self.stores.attempts.finish_cancelled(job.id, lease.attempt)
            self._drop(job, str(error))
            self._remove_files(job)

    @contextmanager
    def _hearing(self, job: ImportJob) -> Iterator[None]:
        """Let a cancel that has interrupted a statement be a cancel, not an outage of Postgres."""
        try:
            yield
        except StoreUnavailableError:
            self.check(job)
            raise

    def finished(self, job: ImportJob) -> None:
        """The job is final: the run is done with it."""
        del self._held[job.id]
        if job.status is Status.FAILED:
            self.trouble[job.id] = printable(job.error or "failed")

    def _to_repeat(self, job_id: str) -> str | None:
        """The job or, if it failed, a new one for its file; None if that one is left to the sensor."""
        try:
            job = self.stores.ledger.get(job_id)
        except JobGoneError:
            return job_id  # `take` leaves it out
        if job.status not in (Status.FAILED, Status.CANCELLED):
            return job_id
        again = self.stores.claims.retry(job_id)
        is_ours = self._reserve(again)
        told = f"job {job_id} {job.status}: its file is imported again as job {again.id}"
        self._log.info(told if is_ours else f"{told}, by a run of its own")
        return again.id if is_ours else None

    def _reserve(self, job: ImportJob) -> bool:
        """Whether this run may work on a job that was just made: it must not overtake others of its table."""
        ledger, group_id = self.stores.ledger, new_id()
        if not (self._starts_over and ledger.assign_group([job.id], group_id)):
            return False
        ledger.requested(group_id)
        if [other.id for other in ledger.open_jobs() if other.table == job.table] == [job.id]:
            return True
        self.stores.leases.forget_request(ledger.get(job.id))
        return False

    def _lease(self, job_ids: list[str]) -> list[Lease]:
        """Lease the jobs, but for those that are gone from the ledger."""
        while True:
            try:
                process = None if self._is_shared else str(RunProcess.current())
                return self.stores.leases.take(job_ids, self._run_id, process)
            except JobGoneError as error:
                job_ids = [job_id for job_id in job_ids if str(as_uuid(job_id)) not in error.job_ids]

    def _forget(self, job: ImportJob) -> None:
        """Stop working on a job whose row is gone, and remove its work files."""
        self._held.pop(job.id, None)
        self._log.info(f"{job.label} is gone from the ledger: nothing more is written for it")
        self._remove_files(job)

    def _remove_files(self, job: ImportJob) -> None:
        """Remove the work files of a job that nobody works on any more; in an outage they go at night."""
        with suppress(StoreUnavailableError):
            self.stores.work.remove(job.id)

    def _drop(self, job: ImportJob, why: str) -> None:
        self._held.pop(job.id, None)
        self.trouble[job.id] = printable(why)
        self._log.warning(f"{job.label}: {printable(why)}")

    def _give_back(self, lease: Lease, why: str) -> None:
        """Let the job be tried again, or end it if a person has cancelled the run. Whatever cannot be said now,
        in an outage, the reaper finds out when the lease expires."""
        with suppress(StoreUnavailableError, LeaseLostError, JobGoneError):
            if self._was_cancelled():
                with suppress(JobFinishedError):
                    self.stores.ledger.cancel(lease.job_id)
            job = self.stores.leases.release(lease, error=why)
            if job.status.is_final:
                self._remove_files(job)
