"""A run's hold on its jobs: their leases and heartbeats, and the handling of errors.

A problem of a file fails only that file's job. An outage or a bug returns the job, to be tried again later by a run of
its own. The run reports all problems at its end. If a job's row is gone from the ledger, the run stops working on the
job without an error, and writes nothing more for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from bulk_pipeline import disk, tables, traces
from bulk_pipeline.errors import (
    DiskFullError,
    FileError,
    FileErrorCode,
    JobCancelledError,
    JobGoneError,
    LeaseLostError,
    LoadRefusedError,
    StoreUnavailableError,
)
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.jobs import ImportJob, Status, as_uuid, new_id
from bulk_pipeline.ledger.leases import Lease
from bulk_pipeline.pipeline.budget import UNBOUNDED, Budget, TooManyRejectedRowsError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.run_memory import Crowd
from bulk_pipeline.pipeline.run_process import RunProcess
from bulk_pipeline.pipeline.work_watch import WorkWatch
from bulk_pipeline.printable import printable
from bulk_pipeline.schema.load_order import parents_among

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.work_files import WorkLocation


class Log(Protocol):
    """The log of a run, for example Dagster's."""

    def info(self, msg: str, /) -> None: ...
    def warning(self, msg: str, /) -> None: ...
    def error(self, msg: str, /) -> None: ...


_CORRECT_THE_ROWS = "correct the rows of its report rejected.*, and drop that file"
_TRIED_AGAIN = "nothing: the file is tried again by itself"


@dataclass(frozen=True)
class Problem:
    """A job that a run stopped working on. `reason` is one line, `remedy` says what to do.

    `status`: the final status of the job; None if another run will try it again, or works on it.
    """

    job: ImportJob
    reason: str
    remedy: str
    status: Status | None

    @property
    def sentence(self) -> str:
        return f"{printable(self.job.file_name)}: {self.reason}. To do: {self.remedy}"


class JobHold:
    """The jobs that one run works on; a context manager that returns unfinished jobs at its exit.

    `repeats`: the run is a re-execution: files of failed jobs get new jobs. `starts_over`: it begins with `parse`, so
    that it can take these jobs itself; otherwise the sensor starts a run for them.
    `was_cancelled` returns True if a person interrupted the run.
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
        self._held: dict[str, Lease[ImportJob]] = {}
        self._is_shared = False
        """True if the run has several jobs, so that a crash of its process cannot be attributed to one."""
        self._heartbeats: dict[str, Heartbeat[ImportJob]] = {}
        self._exit = ExitStack()
        self._outage: str | None = None
        """The error that ended the run; Dagster exits its resources without the exception."""
        self.crowd = Crowd()
        self.problems: dict[str, Problem] = {}
        self.rejected: dict[str, int] = {}
        """The rejected rows of each job that the run finished."""
        self.checked: int | None = None
        """The rejected rows of a dry run, None for other runs."""
        self.is_refused = False
        """True if the run cannot begin, since a file that it names does not exist, or does not fit its options."""
        self.is_left_to_others = False
        """True if jobs of the run wait for earlier files, so that a later run imports them."""
        self.is_interrupted = False
        """True if the run ended before one of its jobs did."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = self._outage or (str(error) if error else None) or "the run ended before the job did"
        self.is_interrupted = bool(self._held)
        for lease in list(self._held.values()):
            self._give_back(lease, why)
        self._exit.close()

    def to_take(self, job_ids: Iterable[str]) -> list[str]:
        """Return the jobs to take: these or, in a run that repeats another, new ones for the files of failed jobs."""
        if not self._repeats:
            return list(job_ids)
        return [repeat for job_id in job_ids if (repeat := self._to_repeat(job_id)) is not None]

    def take(self, job_ids: Iterable[str]) -> list[ImportJob]:
        """Lease the jobs that are in the ledger and not final.

        Raises `LeaseHeldError` if another run works on one of them.
        """
        ids = list(job_ids)
        new = [job_id for job_id in ids if job_id not in self._held]
        self._is_shared |= len(ids) > 1
        try:
            leases = self._lease(new)
        except StoreUnavailableError as error:
            self._outage = str(error)
            raise
        if leases:
            heartbeat = Heartbeat(
                self.stores.leases, leases, seconds=self.stores.settings.bulk_heartbeat_seconds
            )
            self._exit.enter_context(heartbeat)
            self._held |= {lease.job_id: lease for lease in leases}
            self._heartbeats |= {lease.job_id: heartbeat for lease in leases}
        leased = {lease.job_id for lease in leases}
        for job_id in new:
            if job_id not in leased:
                self._log.info(f"job {job_id} is finished or gone from the ledger: nothing to do")
        return [self._held[job_id].job for job_id in ids if job_id in self._held]

    def check(self, job: ImportJob) -> None:
        """Raise, inside of `working_on`, if a heartbeat found that the work on the job should stop."""
        self._heartbeats[job.id].check(job.id)

    def work(self, job: ImportJob) -> "WorkLocation":
        """Return the work location for a step of the job; it raises at the next batch if the step should stop."""
        return replace(self.stores.work, check=partial(self.check, job))

    def work_within(self, job: ImportJob, budget: Budget) -> "WorkLocation":
        """Return the work location for a step that fills the disk; it also raises if the disk is nearly full, or the
        job exceeds its budget.

        Later steps do not check this, since the job's files are removed after them.
        """
        work = self.work(job)
        watch = WorkWatch(work.folder / job.id, self.stores.disk, budget.work_bytes)

        def check() -> None:
            self.check(job)
            watch.check()

        return replace(work, check=check, wrote=watch.wrote)

    def budget(self, job: ImportJob) -> Budget:
        """Return the budget of the settings, but no limits for a job with committed rows.

        Such a job continues until each row is in the table or in the report, even if more rows are rejected now than in
        the previous attempt.
        """
        settings = self.stores.settings
        if job.attempt > 1 and self._has_committed(job):
            return UNBOUNDED
        return Budget(
            settings.bulk_max_rejected_rows, settings.bulk_max_report_bytes, settings.bulk_max_work_bytes
        )

    def interrupt_by(self, job: ImportJob, interrupt: Callable[[], None]) -> None:
        """Call `interrupt` from another thread if the job's step should stop, to end a statement it waits for."""
        self._heartbeats[job.id].interrupt_by(job.id, interrupt)

    @contextmanager
    def working_on(self, job: ImportJob, *, is_alone: bool = True) -> Iterator[None]:
        """Handle all errors of the work on a job that was taken; only an outage ends the run.

        `is_alone`: the run works on no other job at the same time. Otherwise it is unknown whose file takes the memory
        if it runs out: the job stays with the run, and `crowd` reports that it must be repeated alone.
        """
        lease = self._held[job.id]
        try:
            with (
                self._ending(job, lease),
                self.crowd.working_on(
                    job.id, is_alone=is_alone, may_fail=lambda: not self._has_committed(job)
                ),
            ):
                yield
        except JobGoneError:
            self._forget(job)
        except LeaseLostError as error:
            self._drop(job, str(error), remedy="nothing: another run works on the file")
        except StoreUnavailableError as error:
            self._outage = str(error)
            if isinstance(error, DiskFullError):  # frees space; the next attempt starts over
                self._remove_files(job)
            raise
        except Exception as error:
            self._log.error("\n".join([f"{job.label}: unexpected error", *traces.lines(error)]))
            self._give_back(lease, f"{type(error).__name__}: {error}")
            self._drop(job, traces.summary(error), remedy=_TRIED_AGAIN)

    @contextmanager
    def _ending(self, job: ImportJob, lease: Lease[ImportJob]) -> Iterator[None]:
        """End the job if its file cannot be read, the table refuses its rows, or it was cancelled."""
        try:
            with self._heartbeats[job.id].hearing(job.id), disk.outages():
                yield
        except TooManyRejectedRowsError as error:
            self._fail(lease, error, error.code, failure_counts=error.codes, reports=error.reports)
        except FileError as error:
            self._fail(lease, error, error.code)
        except LoadRefusedError as error:
            self._fail(lease, error, FileErrorCode.LOAD_REFUSED)
        except JobCancelledError as error:
            self.stores.attempts.finish_cancelled(job.id, lease.attempt)
            self._drop(
                job,
                f"{error}; the rows committed so far stay",
                remedy="retry the job to import the rest",
                status=Status.CANCELLED,
            )
            self._remove_files(job)

    def _fail(
        self,
        lease: Lease[ImportJob],
        error: FileError | LoadRefusedError,
        code: FileErrorCode,
        **results: Any,
    ) -> None:
        """Fail the job for good. `results`: `failure_counts` and `reports`, if its reports are written."""
        self.stores.attempts.fail_file(lease.job_id, lease.attempt, str(error), code=code, **results)
        self._drop(lease.job, str(error), remedy=code.remedy, status=Status.FAILED)
        self._remove_files(lease.job)

    def _has_committed(self, job: ImportJob) -> bool:
        """Return True if rows of the job are committed; then each row must end in the table or in the report."""
        return bool(self.stores.ledger.counts([job.id])[job.id].processed)

    @property
    def has_jobs(self) -> bool:
        """True if the run holds a job that is not finished."""
        return bool(self._held)

    def finished(self, job: ImportJob) -> None:
        """Release a job that is final."""
        del self._held[job.id]
        if job.status is Status.FAILED:
            reason = printable(job.error or "every row was rejected")
            self.problems[job.id] = Problem(job, reason, _CORRECT_THE_ROWS, Status.FAILED)

    def _to_repeat(self, job_id: str) -> str | None:
        """Return the job or, if it failed, a new one for its file; None if the new one is left to the sensor."""
        try:
            job = self.stores.ledger.get(job_id)
        except JobGoneError:
            return job_id  # `take` skips it
        if job.status not in (Status.FAILED, Status.CANCELLED):
            return job_id
        retry = self.stores.claims.retry(job_id)
        is_ours = bool(self.reserve([retry]))
        message = f"job {job_id} {job.status}: its file is imported again as job {retry.id}"
        self._log.info(message if is_ours else f"{message}, by a run of its own")
        return retry.id if is_ours else None

    def reserve(self, jobs: Sequence[ImportJob]) -> list[str]:
        """Return the ids of those jobs that this run may work on. The others are left to the sensor: they must not
        overtake other jobs of their table, or of the tables that it refers to."""
        ledger, group_id = self.stores.ledger, new_id()
        reserved = ledger.assign_group([job.id for job in jobs], group_id) if self._starts_over else []
        self.is_left_to_others |= len(reserved) < len(jobs)
        if not reserved:
            return []
        ledger.requested(group_id)
        declared = tables.in_load_order()
        before = {job.table for job in jobs}
        before.update(*(parents_among(table, declared) for table in declared if table.upload_name in before))
        if all(job.id in reserved for job in ledger.open_jobs() if job.table in before):
            return reserved
        for job_id in reserved:
            self.stores.leases.forget_request(ledger.get(job_id))
        self.is_left_to_others = True
        return []

    def _lease(self, job_ids: list[str]) -> list[Lease[ImportJob]]:
        """Lease the jobs that are in the ledger."""
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
        """Remove the work files of a job that is no longer worked on; after an outage, nightly cleaning does it."""
        with suppress(StoreUnavailableError):
            self.stores.work.remove(job.id)

    def _drop(self, job: ImportJob, why: str, *, remedy: str, status: Status | None = None) -> None:
        self._held.pop(job.id, None)
        self.problems[job.id] = Problem(job, printable(why), remedy, status)
        self._log.warning(f"{job.label}: {printable(why)}")

    def _give_back(self, lease: Lease[ImportJob], why: str) -> None:
        job = self.stores.leases.give_back(lease, error=why, is_cancelled=self._was_cancelled())
        if job is not None and job.status.is_final:
            self._remove_files(job)
