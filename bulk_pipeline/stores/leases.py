"""Who works on a job: taken under a lock, kept alive by heartbeats, given back or reaped.

Times are the database's, so that the clocks of workers do not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from bulk_pipeline.errors import JobGoneError, LeaseHeldError, LeaseLostError
from bulk_pipeline.stores import lease_queries as queries
from bulk_pipeline.stores.job_queries import (
    all_jobs,
    changed_job,
    job_locked_for_takeover,
    one_job,
)
from bulk_pipeline.stores.jobs import ImportJob, as_uuid, load_session, wait_seconds
from bulk_pipeline.stores.postgres import Postgres, end_sessions

_ENDS_PROCESS = (
    "this file ends the process that reads it: {crashes} runs that had no other file died of it; look into the file, "
    "split it or give the runs more memory, then retry the job"
)


@dataclass(frozen=True)
class Lease:
    """A run's right to write for a job, until another attempt begins.

    `process`: of the run, if it has no other job.
    """

    job: ImportJob
    run_id: str
    process: str | None = None

    @property
    def job_id(self) -> str:
        return self.job.id

    @property
    def attempt(self) -> int:
        return self.job.attempt


@dataclass(frozen=True)
class _Holder:
    run_id: str
    is_live: bool


class Leases:
    """The leases of one ledger: how long one lives without a heartbeat, and how often a job is tried."""

    def __init__(
        self,
        postgres: Postgres,
        *,
        lease_seconds: float,
        retry_seconds: float,
        max_attempts: int,
        max_crashes: int,
    ) -> None:
        self._postgres = postgres
        self._lease = timedelta(seconds=lease_seconds)
        self._retry_seconds = retry_seconds
        self._max_attempts = max_attempts
        self._max_crashes = max_crashes

    def take(self, job_ids: Iterable[str], run_id: str, process: str | None = None) -> list[Lease]:
        """Leases on those of the jobs that are not final, in the order given; on all of them or none.

        Each begins a new attempt, but for jobs that this run has already. Waits for the batch that an earlier
        attempt may be committing. Raises `LeaseHeldError`, and `JobGoneError` for those that are not in the ledger.
        """
        asked = list(dict.fromkeys(str(as_uuid(job_id)) for job_id in job_ids))
        with self._postgres.transaction() as connection:
            # Whoever has a job may be committing a batch, for which the lock would wait: refuse before that.
            _refuse_held(self._holders(connection, asked), run_id)
            jobs = {job.id: job for job in all_jobs(connection, queries.LOCKED_ALL, {"ids": asked})}
            if missing := [job_id for job_id in asked if job_id not in jobs]:
                raise JobGoneError(*missing)
            holders = self._holders(connection, asked)
            leases = [self._take_one(connection, jobs[i], holders.get(i), run_id, process) for i in asked]
        return [lease for lease in leases if lease is not None]

    def release(self, lease: Lease, *, error: str) -> ImportJob:
        """Give the job back after an outage: it waits for its next attempt, or fails if there is none.

        Raises `LeaseLostError` if it is not this run's any more, and `JobGoneError`.
        """
        with self._postgres.transaction() as connection:
            job = job_locked_for_takeover(connection, lease.job_id)
            if job.status.is_final:
                return job
            holder = self._holders(connection, [job.id]).get(job.id)
            if holder is None or holder.run_id != lease.run_id or job.attempt != lease.attempt:
                raise LeaseLostError(f"job {job.id} is no longer with run {lease.run_id}")
            return self._give_back(connection, job, error, isolate=False)

    def expired(self) -> list[Lease]:
        """Leases whose run has been silent for too long."""
        with self._postgres.transaction() as connection:
            jobs = all_jobs(connection, queries.EXPIRED, {"lease": self._lease})
            processes = dict(connection.execute(queries.PROCESSES, [[job.id for job in jobs]]).fetchall())
        return [Lease(job, job.run_id or "", processes.get(as_uuid(job.id))) for job in jobs]

    def reap(self, lease: Lease, *, error: str, is_crash: bool = False) -> ImportJob | None:
        """End an expired lease: like `release`, but the job has its next run to itself.

        `is_crash`: the run's process has died of this job. After the last crash that is allowed the job fails, unless
        rows of it are committed.

        None if the lease is not expired any more: its run has spoken, somebody else was faster, or the job is gone.
        """
        with suppress(JobGoneError), self._postgres.transaction() as connection:
            holder = self._holders(connection, [lease.job_id]).get(lease.job_id)
            if holder is None or holder.is_live:
                return None
            # What a killed run was sending may keep the server from noticing its end, in a batch that waits for a
            # lock, say; and the takeover would wait for that batch.
            end_sessions(connection, load_session(lease.job_id))
            job = job_locked_for_takeover(connection, lease.job_id)
            holder = self._holders(connection, [job.id]).get(job.id)
            if holder is None or holder.is_live or job.attempt != lease.attempt:
                return None
            if is_crash and self._is_last_crash(connection, job):
                told = f"{_ENDS_PROCESS.format(crashes=self._max_crashes)}: {error}"
                return changed_job(connection, job.id, queries.FAIL, error=told, code="ends_process")
            return self._give_back(connection, job, error, isolate=True)
        return None

    def is_silent(
        self, run_id: str, job_ids: Sequence[str], *, since: datetime, older_than: timedelta
    ) -> bool:
        """Whether a run, which has started at `since` for these jobs, has held and finished none for that long."""
        asked = {"run_id": run_id, "ids": list(job_ids), "since": since, "older_than": older_than}
        with self._postgres.transaction() as connection:
            return connection.execute(queries.IS_SILENT, asked).fetchone() == (True,)

    def unstarted(self, *, older_than: timedelta) -> list[ImportJob]:
        """Jobs for which a run was requested that has not taken them for that long."""
        with self._postgres.transaction() as connection:
            return all_jobs(connection, queries.UNSTARTED, {"older_than": older_than})

    def forget_request(self, job: ImportJob) -> bool:
        """Let a run be requested again for a job that none has taken; says whether that was so."""
        with self._postgres.transaction() as connection:
            asked = {"id": job.id, "group_id": job.group_id}
            return one_job(connection, queries.FORGET_REQUEST, asked) is not None

    def _take_one(
        self,
        connection: psycopg.Connection,
        job: ImportJob,
        holder: _Holder | None,
        run_id: str,
        process: str | None,
    ) -> Lease | None:
        if job.claimed_at is None:
            raise LeaseHeldError(f"job {job.id} is still being claimed")
        if job.status.is_final:
            return None
        if holder is not None and holder.run_id == run_id:
            connection.execute(queries.RENEW, {"id": job.id})
            return Lease(job, run_id)
        if holder is not None:
            _refuse_held({job.id: holder}, run_id)
        if job.cancel_requested_at is not None:
            changed_job(connection, job.id, queries.CANCEL)
            return None
        begun = changed_job(connection, job.id, queries.BEGIN, run_id=run_id)
        given = {"id": job.id, "attempt": begun.attempt, "run_id": run_id, "process": process}
        connection.execute(queries.LEASE, given)
        return Lease(begun, run_id, process)

    def _is_last_crash(self, connection: psycopg.Connection, job: ImportJob) -> bool:
        """Count a crash; return whether the job, which nobody has cancelled, must not be tried again."""
        counted = connection.execute(queries.COUNT_CRASH, (job.id,)).fetchone()
        assert counted is not None
        is_last = counted[0] >= self._max_crashes and not job.cancel_requested_at
        if not is_last or _has_committed(connection, job):
            return False
        connection.execute("DELETE FROM bulk.job_leases WHERE job_id = %s", (job.id,))
        return True

    def _give_back(
        self, connection: psycopg.Connection, job: ImportJob, error: str, *, isolate: bool
    ) -> ImportJob:
        connection.execute("DELETE FROM bulk.job_leases WHERE job_id = %s", (job.id,))
        if job.cancel_requested_at is not None:
            return changed_job(connection, job.id, queries.CANCEL)
        if job.attempt >= self._max_attempts and not _has_committed(connection, job):
            return changed_job(
                connection,
                job.id,
                queries.FAIL,
                error=f"gave up after {job.attempt} attempts: {_reason(job, error)}",
                code=None,
            )
        wait = timedelta(seconds=wait_seconds(job.attempt, self._retry_seconds))
        return changed_job(connection, job.id, queries.WAIT, error=error, wait=wait, isolate=isolate)

    def _holders(self, connection: psycopg.Connection, job_ids: list[str]) -> dict[str, _Holder]:
        # Its own statement: one that waits for a lock reads other tables as they were before the wait.
        rows = connection.execute(queries.HOLDERS, {"ids": job_ids, "lease": self._lease}).fetchall()
        return {str(job_id): _Holder(run_id, is_live) for job_id, run_id, is_live in rows}


def _refuse_held(holders: Mapping[str, _Holder], run_id: str) -> None:
    for job_id, holder in holders.items():
        if holder.is_live and holder.run_id != run_id:
            raise LeaseHeldError(f"job {job_id} is being worked on by run {holder.run_id}")


def _has_committed(connection: psycopg.Connection, job: ImportJob) -> bool:
    query = "SELECT EXISTS (SELECT FROM bulk.import_batches WHERE job_id = %s)"
    return connection.execute(query, (job.id,)).fetchone() == (True,)


def _reason(job: ImportJob, error: str) -> str:
    """The last error, and the one of the attempt before: a run that was killed does not say much."""
    return error if job.error in (None, error) else f"{error} (before that: {job.error})"
