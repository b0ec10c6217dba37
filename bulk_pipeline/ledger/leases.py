"""Leases on import and export jobs: taken under a lock, renewed by heartbeats, released or reaped.

All times are the database's, so that the clocks of workers do not matter.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic

import psycopg

from bulk_pipeline.errors import (
    FileErrorCode,
    JobFinishedError,
    JobGoneError,
    LeaseHeldError,
    LeaseLostError,
    StoreUnavailableError,
)
from bulk_pipeline.ledger import lease_queries as queries
from bulk_pipeline.ledger.job_table import J
from bulk_pipeline.ledger.jobs import Job, as_uuid, wait_seconds
from bulk_pipeline.ledger.lease_queries import LeaseQueries
from bulk_pipeline.postgres.connection import Postgres, end_sessions

_ENDS_PROCESS = (
    "this file ends the process that reads it: {crashes} runs that had no other file died of it; look into the file, "
    "split it or give runs more memory (BULK_RUN_MEMORY_BYTES), then retry the job"
)


@dataclass(frozen=True)
class Lease(Generic[J]):
    """A run's right to write to a job until another attempt begins.

    `process` is the process of the run, if the run has no other job.
    """

    job: J
    run_id: str
    process: str | None = None

    @property
    def job_id(self) -> str:
        return self.job.id

    @property
    def attempt(self) -> int:
        return self.job.attempt


@dataclass(frozen=True)
class LeaseNews:
    """Ids of jobs whose leases have changed.

    `lost`: another attempt has begun, or no run holds the job. `gone`: the job is no longer in the ledger. `ended`: the
    job became final in the attempt of the lease. `cancelled`: a cancel of the job was requested.
    """

    lost: set[str]
    gone: set[str]
    ended: set[str]
    cancelled: set[str]


@dataclass(frozen=True)
class _Holder:
    run_id: str
    is_live: bool


class Leases(Generic[J]):
    """The leases on one kind of job.

    A lease expires `lease_seconds` after its last heartbeat. A job without committed rows fails after `max_attempts`
    attempts, or after `max_crashes` attempts in which the process of the run died.
    """

    def __init__(
        self,
        postgres: Postgres,
        queries_: LeaseQueries[J],
        *,
        lease_seconds: float,
        retry_seconds: float,
        max_attempts: int,
        max_crashes: int,
    ) -> None:
        self._postgres = postgres
        self._queries = queries_
        self.jobs = queries_.jobs
        self._lease = timedelta(seconds=lease_seconds)
        self._retry_seconds = retry_seconds
        self._max_attempts = max_attempts
        self._max_crashes = max_crashes

    def take(self, job_ids: Iterable[str], run_id: str, process: str | None = None) -> list[Lease[J]]:
        """Lease all jobs that are not final, or none, and return the leases in the order of `job_ids`.

        Each lease begins a new attempt, unless this run already holds the job. Waits for a batch that an earlier
        attempt is committing. Raises `LeaseHeldError`, and `JobGoneError` for jobs that are not in the ledger.
        """
        ids = list(dict.fromkeys(str(as_uuid(job_id)) for job_id in job_ids))
        with self._postgres.transaction() as connection:
            # Before the lock, which would wait for a batch that the holder is committing.
            self._refuse_held(self._holders(connection, ids), run_id)
            locked = self.jobs.all(connection, self._queries.locked_all, {"ids": ids})
            jobs = {job.id: job for job in locked}
            if missing := [job_id for job_id in ids if job_id not in jobs]:
                raise JobGoneError(*missing, noun=self.jobs.noun)
            holders = self._holders(connection, ids)
            leases = [self._take_one(connection, jobs[i], holders.get(i), run_id, process) for i in ids]
        return [lease for lease in leases if lease is not None]

    def renew(self, leases: Sequence[Lease[J]]) -> LeaseNews:
        """Renew the leases that are still held, and return the changes of the others and of the jobs."""
        parameters = {
            "ids": [lease.job_id for lease in leases],
            "attempts": [lease.attempt for lease in leases],
            "run_ids": [lease.run_id for lease in leases],
        }
        with self._postgres.transaction() as connection:
            renewed = {str(job_id) for (job_id,) in connection.execute(queries.RENEW, parameters)}
            rows = connection.execute(self._queries.news, parameters).fetchall()
        attempts = {lease.job_id: lease.attempt for lease in leases}
        ended = {
            str(job_id)
            for job_id, attempt, is_final, _ in rows
            if is_final and attempt == attempts[str(job_id)]
        }
        present = {str(row[0]) for row in rows}
        return LeaseNews(
            lost=present - renewed - ended,
            gone=attempts.keys() - present,
            ended=ended - renewed,
            cancelled={str(job_id) for job_id, _, _, is_cancelled in rows if is_cancelled},
        )

    def release(self, lease: Lease[J], *, error: str) -> J:
        """Return the job to the queue; it fails instead if no attempt is left, or ends if it was cancelled.

        Raises `LeaseLostError` if the run no longer holds the job, and `JobGoneError`.
        """
        with self._postgres.transaction() as connection:
            job = self.jobs.locked_for_takeover(connection, lease.job_id)
            if job.status.is_final:
                return job
            holder = self._holders(connection, [job.id]).get(job.id)
            if holder is None or holder.run_id != lease.run_id or job.attempt != lease.attempt:
                raise LeaseLostError(f"{self.jobs.noun} {job.id} is no longer with run {lease.run_id}")
            return self._give_back(connection, job, error, isolate=False)

    def give_back(self, lease: Lease[J], *, error: str, is_cancelled: bool) -> J | None:
        """Release the job of a run that ends early, and cancel the job if a person cancelled the run (`is_cancelled`).

        None if the lease is lost, and in an outage: then the reaper returns the job once the lease has expired.
        """
        with suppress(StoreUnavailableError, LeaseLostError, JobGoneError):
            if is_cancelled:
                with suppress(JobFinishedError):
                    self.cancel(lease.job_id)
            return self.release(lease, error=error)
        return None

    def cancel(self, job_id: str) -> J:
        """Cancel a job, at once or, if a run holds it, at the run's next heartbeat. Committed rows stay.

        Raises `JobFinishedError` and `NotFoundError`.
        """
        with self._postgres.transaction() as connection:
            job = self.jobs.locked(connection, job_id)
            if job.status.is_final:
                raise JobFinishedError(f"job {job_id} is {job.status} already")
            if self._holders(connection, [job.id]):
                return self.jobs.changed(connection, job.id, self._queries.ask_to_cancel)
            self.jobs.locked_for_takeover(connection, job.id)
            return self.jobs.changed(connection, job.id, self._queries.cancel)

    def expired(self) -> list[Lease[J]]:
        """Return the leases that have expired, in the order in which their jobs arrived."""
        with self._postgres.transaction() as connection:
            jobs = self.jobs.all(connection, self._queries.expired, {"lease": self._lease})
            processes = dict(
                connection.execute(queries.PROCESSES, {"ids": [job.id for job in jobs]}).fetchall()
            )
        return [Lease(job, job.run_id or "", processes.get(as_uuid(job.id))) for job in jobs]

    def reap(self, lease: Lease[J], *, error: str, is_crash: bool = False) -> J | None:
        """End an expired lease and return its job to the queue, as `release` does; the next run will work on this job
        alone.

        `is_crash` says that the run's process died while it worked on this job. None if the lease is no longer expired:
        its run renewed it, another reaper was faster, or the job is gone.
        """
        with suppress(JobGoneError), self._postgres.transaction() as connection:
            holder = self._holders(connection, [lease.job_id]).get(lease.job_id)
            if holder is None or holder.is_live:
                return None
            # The server may not notice that a run was killed, for example in a batch that waits for a lock, and the
            # takeover would wait for this batch.
            end_sessions(connection, self.jobs.session(lease.job_id))
            job = self.jobs.locked_for_takeover(connection, lease.job_id)
            holder = self._holders(connection, [job.id]).get(job.id)
            if holder is None or holder.is_live or job.attempt != lease.attempt:
                return None
            if is_crash and self._is_last_crash(connection, job):
                message = f"{_ENDS_PROCESS.format(crashes=self._max_crashes)}: {error}"
                return self._fail(connection, job, message, FileErrorCode.ENDS_PROCESS)
            return self._give_back(connection, job, error, isolate=True)
        return None

    def is_silent(
        self, run_id: str, job_ids: Sequence[str], *, since: datetime, older_than: timedelta
    ) -> bool:
        """Return True if a run that started at `since` has neither held nor changed a job for `older_than`.

        `job_ids` are the jobs for which the run was started, as far as they are known.
        """
        parameters = {"run_id": run_id, "ids": list(job_ids), "since": since, "older_than": older_than}
        with self._postgres.transaction() as connection:
            return connection.execute(self._queries.is_silent, parameters).fetchone() == (True,)

    def overdue(self, *, older_than: timedelta) -> list[J]:
        """Return the jobs that no run has taken for `older_than` after one was requested."""
        with self._postgres.transaction() as connection:
            return self.jobs.all(connection, self._queries.overdue, {"older_than": older_than})

    def forget_request(self, job: J) -> bool:
        """Let a run be requested again; False if a run has meanwhile taken the job, or another one was requested."""
        with self._postgres.transaction() as connection:
            parameters = {"id": job.id, "requested_at": job.requested_at}
            return self.jobs.one(connection, self._queries.forget_request, parameters) is not None

    def _take_one(
        self, connection: psycopg.Connection, job: J, holder: _Holder | None, run_id: str, process: str | None
    ) -> Lease[J] | None:
        if not job.is_claimed:
            raise LeaseHeldError(f"{self.jobs.noun} {job.id} is still being claimed")
        if job.status.is_final:
            return None
        if holder is not None:
            self._refuse_held({job.id: holder}, run_id)
            if holder.run_id == run_id and self._queries.run_resumes:
                connection.execute(queries.TOUCH, {"id": job.id})
                return Lease(job, run_id)
        if job.cancel_requested_at is not None:
            end_lease(connection, job.id)
            self.jobs.changed(connection, job.id, self._queries.cancel)
            return None
        job = self.jobs.changed(connection, job.id, self._queries.begin, run_id=run_id)
        values = {"id": job.id, "kind": self.jobs.kind, "attempt": job.attempt, "run_id": run_id}
        connection.execute(queries.LEASE, values | {"process": process})
        return Lease(job, run_id, process)

    def _is_last_crash(self, connection: psycopg.Connection, job: J) -> bool:
        """Count a crash, and return True if the job, unless it is cancelled, must not be tried again."""
        crashes = connection.execute(queries.COUNT_CRASH, {"id": job.id}).fetchone()
        assert crashes is not None
        is_last = crashes[0] >= self._max_crashes and not job.cancel_requested_at
        return is_last and not _has_committed(connection, job)

    def _give_back(self, connection: psycopg.Connection, job: J, error: str, *, isolate: bool) -> J:
        if job.cancel_requested_at is not None:
            end_lease(connection, job.id)
            return self.jobs.changed(connection, job.id, self._queries.cancel)
        if job.attempt >= self._max_attempts and not _has_committed(connection, job):
            reason = f"gave up after {job.attempt} attempts: {_reason(job, error)}"
            return self._fail(connection, job, reason, None)
        end_lease(connection, job.id)
        wait = timedelta(seconds=wait_seconds(job.attempt, self._retry_seconds))
        return self.jobs.changed(
            connection, job.id, self._queries.wait, error=error, wait=wait, isolate=isolate
        )

    def _fail(self, connection: psycopg.Connection, job: J, error: str, code: FileErrorCode | None) -> J:
        end_lease(connection, job.id)
        return self.jobs.changed(connection, job.id, self._queries.fail, error=error, code=code)

    def _refuse_held(self, holders: Mapping[str, _Holder], run_id: str) -> None:
        for job_id, holder in holders.items():
            if holder.is_live and holder.run_id != run_id:
                raise LeaseHeldError(f"{self.jobs.noun} {job_id} is being worked on by run {holder.run_id}")

    def _holders(self, connection: psycopg.Connection, job_ids: Collection[str]) -> dict[str, _Holder]:
        # A statement of its own: one that waits for a lock reads other tables as they were before the wait.
        rows = connection.execute(queries.HOLDERS, {"ids": list(job_ids), "lease": self._lease}).fetchall()
        return {str(job_id): _Holder(run_id, is_live) for job_id, run_id, is_live in rows}


def end_lease(connection: psycopg.Connection, job_id: str) -> None:
    """Remove the lease on a job that the caller has locked."""
    connection.execute(queries.END, {"id": job_id})


def _has_committed(connection: psycopg.Connection, job: Job) -> bool:
    return connection.execute(queries.HAS_COMMITTED, {"id": job.id}).fetchone() == (True,)


def _reason(job: Job, error: str) -> str:
    """Return the error with that of the previous attempt, since the error of a killed run says little."""
    return error if job.error in (None, error) else f"{error} (before that: {job.error})"
