"""The ledger and the object store together, with the actions of people and runs."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bulk_pipeline.ledger.attempts import Attempts
from bulk_pipeline.ledger.claims import Claims
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.lease_queries import IMPORT_QUERIES
from bulk_pipeline.ledger.leases import Lease, Leases
from bulk_pipeline.ledger.queue import Ledger
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings

KEY = "users/people.csv"
T = TypeVar("T")


class LedgerRig:
    """Stores over the servers of one test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.postgres = Postgres(settings.database_url.get_secret_value())
        self.objects = ObjectStore(settings)
        self.uploads, self.archive = settings.s3_bucket_uploads, settings.s3_bucket_archive
        self.claims = self.claims_with(self.objects)
        self.ledger = Ledger(self.postgres)
        self.attempts = Attempts(self.postgres)
        self.leases = self.leases_of(lease_seconds=30)

    def claims_with(self, objects: ObjectStore) -> Claims:
        return Claims(self.postgres, objects, self.archive)

    def leases_of(self, *, lease_seconds: float, max_attempts: int = 3) -> Leases[ImportJob]:
        return Leases(
            self.postgres,
            IMPORT_QUERIES,
            lease_seconds=lease_seconds,
            retry_seconds=0,
            max_attempts=max_attempts,
            max_crashes=2,
        )

    def drop(self, key: str = KEY, content: bytes = b"one", **metadata: str) -> ListedObject:
        """Upload an object to the inbox."""
        named = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.objects.put(self.uploads, key, content, metadata=named)
        result = self.objects.find(self.uploads, key)
        assert result is not None
        return result

    def claimed(self, key: str = KEY, content: bytes = b"one", **metadata: str) -> ImportJob:
        job = self.claims.claim(self.drop(key, content, **metadata))
        assert job is not None
        return job

    def taken(self, job: ImportJob, run_id: str = "run-1") -> Lease[ImportJob]:
        (lease,) = self.leases.take([job.id], run_id)
        return lease

    def parsed(
        self,
        lease: Lease[ImportJob],
        total_rows: int,
        sha256: str = "00",
        *,
        batch_rows: int = 1_000,
        parser_version: str = "1",
    ) -> ImportJob:
        return self.attempts.note_parsed(
            lease.job_id,
            lease.attempt,
            columns=["email"],
            dialect={"delimiter": ","},
            warnings=[],
            total_rows=total_rows,
            sha256=sha256,
            batch_rows=batch_rows,
            parser_version=parser_version,
            parents={},
        )

    def commit_batch(self, lease: Lease[ImportJob], first: int, last: int, rejected: int = 0) -> None:
        """Record a batch in the ledger, without its rows."""
        rows = last - first + 1
        with self.postgres.transaction() as connection:
            connection.execute(
                """
                INSERT INTO bulk.import_batches
                    (job_id, first_row, last_row, attempt, inserted, updated, unchanged, superseded, rejected)
                VALUES (%s, %s, %s, %s, %s, 0, 0, 0, %s)
                """,
                (lease.job_id, first, last, lease.attempt, rows - rejected, rejected),
            )

    def finish(self, lease: Lease[ImportJob], rows: int, rejected: int = 0) -> ImportJob:
        """Do all that a run does between taking and finishing a job."""
        self.parsed(lease, rows)
        if rows:
            self.commit_batch(lease, 1, rows, rejected)
        return self.attempts.finish(lease.job_id, lease.attempt, failure_counts={}, reports={})

    def finished(self, key: str = KEY, content: bytes = b"one", rejected: int = 0) -> ImportJob:
        return self.finish(self.taken(self.claimed(key, content)), 2, rejected)

    def jobs(self) -> list[ImportJob]:
        """Return all jobs, oldest first."""
        return self.ledger.newest(limit=1000)[::-1]

    def inbox(self) -> list[str]:
        return [entry.key for entry in self.objects.page(self.uploads).objects]

    def archived(self) -> dict[str, bytes]:
        result = self.objects.page(self.archive).objects
        return {entry.key: self.objects.open(self.archive, entry.key).read() for entry in result}

    def sql(self, query: str) -> list[tuple[object, ...]]:
        with self.postgres.transaction() as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def silence(self, *jobs: ImportJob) -> None:
        """Expire the leases of the jobs."""
        for job in jobs:
            self.sql(
                "UPDATE bulk.job_leases SET heartbeat_at = heartbeat_at - interval '1 hour' "
                f"WHERE job_id = '{job.id}'"
            )


def at_once(act: Callable[[int], T], times: int) -> list[T]:
    """Return the results of `act` in several concurrent threads."""
    barrier = threading.Barrier(times)

    def start(number: int) -> T:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(start, range(times)))
