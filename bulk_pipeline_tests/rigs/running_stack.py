"""The running stack, with the actions of people: upload files, wait, look at jobs, block loads, kill processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import psycopg

from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.dagster_ui import DagsterUi

T = TypeVar("T")


@dataclass(frozen=True)
class RunningStack:
    """A running stack; `client` is a plain boto3 client."""

    home: Path
    stores: Stores
    client: Any
    ui: DagsterUi

    def drop(self, key: str, content: bytes, **metadata: str) -> str:
        """Put an object into the inbox; return its key."""
        named = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.client.put_object(Bucket="uploads", Key=key, Body=content, Metadata=named)
        return key

    def load(self, key: str, content: bytes, **metadata: str) -> ImportJob:
        """Upload a file and wait for the end of its job."""
        return self.finished(self.drop(key, content, **metadata))

    def jobs(self, key: str) -> list[ImportJob]:
        """Return every job of the key, oldest first."""
        query = "SELECT id::text FROM bulk.import_jobs WHERE key = %s ORDER BY created_at, id"
        return [self.stores.ledger.get(job_id) for (job_id,) in self.query(query, key)]

    def job(self, key: str) -> ImportJob:
        """Wait for the only job of the key, and return it."""
        (job,) = until(lambda: self.jobs(key), f"a job for {key}")
        return job

    def finished(self, key: str, *, seconds: float = 120) -> ImportJob:
        """Wait until no job of the key is open, and return the newest."""
        return self.all_finished(key, 1, seconds=seconds)[-1]

    def all_finished(self, key: str, count: int, *, seconds: float = 120) -> list[ImportJob]:
        """Wait until there are at least that many jobs of the key and none is open, and return all."""

        def final() -> list[ImportJob]:
            jobs = self.jobs(key)
            return jobs if len(jobs) >= count and all(job.status.is_final for job in jobs) else []

        return until(final, f"{count} finished jobs of {key}", seconds=seconds)

    def counts(self, job: ImportJob) -> Counts:
        return self.stores.ledger.counts([job.id])[job.id]

    def reports(self, job: ImportJob) -> dict[str, bytes]:
        """Return the job's reports by name."""
        bucket = self.stores.settings.s3_bucket_reports
        return {name: self.stores.objects.open(bucket, key).read() for name, key in job.reports.items()}

    def archived(self, job: ImportJob) -> bytes:
        """Return the bytes of the job's file in the archive."""
        return self.stores.objects.open("archive", str(job.archive_key)).read()

    def inbox(self) -> list[str]:
        return [entry.key for entry in self.stores.objects.page("uploads").objects]

    def query(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stores.database_url) as connection:
            return connection.execute(query.encode(), args).fetchall()

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.stores.database_url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def batches(self, job: ImportJob) -> int:
        """Return the number of committed batches."""
        query = "SELECT count(*) FROM bulk.import_batches WHERE job_id = %s"
        ((count,),) = self.query(query, job.id)
        return count

    @contextmanager
    def holding(self, *emails: str) -> Iterator[None]:
        """Block loads of customers with these addresses, in the middle of a batch, until the block ends.

        Another transaction inserts the same addresses, and rolls back at the end.
        """
        with psycopg.connect(self.stores.database_url) as somebody_else:
            for email in emails:
                somebody_else.execute("INSERT INTO customers (email) VALUES (%s)", [email])
            yield
            somebody_else.rollback()

    def waits_for_a_lock(self) -> bool:
        """Return True if a load waits for another transaction."""
        return self.waiting_batches() > 0

    def waiting_batches(self) -> int:
        """Return the number of batches that wait for another transaction."""
        query = """
            SELECT count(*) FROM pg_stat_activity
            WHERE application_name LIKE 'bulk-pipeline load%%' AND wait_event_type = 'Lock'
        """
        ((count,),) = self.query(query)
        return count

    def service(self, name: str) -> psutil.Process:
        """Return a running process of the stack."""
        result = homes.read(homes.at(self.home)).services[name].find()
        assert result is not None, f"{name} does not run"
        return result

    def run_process(self, job: ImportJob) -> psutil.Process:
        """Return the process that works on the job, started by the code server."""
        assert job.run_id is not None
        process = psutil.Process(self.ui.process_id(job.run_id))
        assert process in self.service("code_server").children(recursive=True)
        return process


def until(condition: Callable[[], T], what: str, *, seconds: float = 60) -> T:
    """Wait until the condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"still waiting after {seconds} s: {what}"
        time.sleep(0.05)
    return result


def unique(name: str = "file") -> str:
    """Return a name that no other test uses."""
    return f"{name}-{uuid4().hex[:12]}"


def csv(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def customers(*emails: str) -> bytes:
    """Return a file of customers."""
    return csv("email,city", *(f"{email},Lund" for email in emails))
