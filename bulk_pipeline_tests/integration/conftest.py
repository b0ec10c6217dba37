"""A pipeline without Dagster's processes: drop files, take them in, run the import job here and now."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any, LiteralString

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr

from bulk_pipeline.orchestration.intake import take_in
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.resources import worker
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.jobs import Counts, ImportJob
from bulk_pipeline_tests.command_here import run_here
from bulk_pipeline_tests.integration.exports import Exporting

Command = Callable[..., CompletedProcess[str]]
LOOK_AGAIN_SECONDS = 0.1
"""The store's clock, which says when a file may start, has whole seconds only."""


@dataclass
class Pipeline:
    """The sensor's and the run's work, done in the test's own process on real Postgres and real S3."""

    stores: Stores
    instance: dg.DagsterInstance
    cursor: str | None = None

    def drop(self, key: str, content: bytes, **metadata: str) -> None:
        self.stores.objects.put(self.stores.settings.s3_bucket_uploads, key, content, metadata=metadata)

    def claim_as_of_one_moment(self) -> None:
        """Have all files that lie there share a run, also if a second began between two of them."""
        self._claim("(SELECT min(arrived_at) FROM bulk.import_jobs)")

    def claim_as_of_a_while_ago(self) -> None:
        """Have all files that lie there arrived so long ago that none has to wait for the store's next second."""
        self._claim("arrived_at - interval '3 s'")

    def _claim(self, arrived_at: LiteralString) -> None:
        for found in self.stores.objects.page(self.stores.settings.s3_bucket_uploads).found:
            self.stores.claims.claim(found)
        with psycopg.connect(self.stores.database_url) as connection:
            connection.execute(
                f"UPDATE bulk.import_jobs SET arrived_at = {arrived_at} WHERE status = 'pending'"
            )

    def work_off(self) -> None:
        """Take in and run until nothing is left that may start."""
        while True:
            taken = take_in(self.stores, self.cursor)
            self.cursor = taken.cursor
            for request in taken.requests:
                self.stores.ledger.requested(request.key)
                self.run(*(job.id for job in request.jobs))
            if taken.is_complete and not (taken.claimed or self.stores.ledger.open_jobs()):
                return
            if not taken.requests:
                time.sleep(LOOK_AGAIN_SECONDS)

    def run(self, *job_ids: str) -> dg.ExecuteInProcessResult:
        """One run of the import job, which fails visibly only in its result."""
        return import_files.execute_in_process(
            run_config={"ops": {"parse": {"config": {"job_ids": list(job_ids)}}}},
            resources={"stores": self.stores, "worker": worker},
            instance=self.instance,
            raise_on_error=False,
        )

    def load(self, key: str, content: bytes, **metadata: str) -> ImportJob:
        """Drop a file, work everything off, and give the file's job."""
        self.drop(key, content, **metadata)
        self.claim_as_of_a_while_ago()
        self.work_off()
        return self.job(key)

    def job(self, key: str) -> ImportJob:
        job = self.stores.ledger.newest_of_object(self.stores.settings.s3_bucket_uploads, key)
        assert job is not None, f"no job for {key}"
        return job

    def counts(self, job: ImportJob) -> Counts:
        return self.stores.ledger.counts([job.id])[job.id]

    def report(self, job: ImportJob, name: str) -> bytes:
        with self.stores.objects.open(self.stores.settings.s3_bucket_reports, job.reports[name]) as stream:
            return stream.read()

    def inbox(self) -> list[str]:
        page = self.stores.objects.page(self.stores.settings.s3_bucket_uploads)
        return [found.key for found in page.found]

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stores.database_url) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="session")
def whole_instance() -> Iterator[dg.DagsterInstance]:
    """To make one takes as long as to run a job in it."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def instance(whole_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """Dagster's memory, without a run."""
    yield whole_instance
    whole_instance.wipe()


@pytest.fixture
def pipeline(settings: Settings, instance: dg.DagsterInstance) -> Iterator[Pipeline]:
    stores = Stores(settings)
    yield Pipeline(stores, instance)
    stores.close()


@pytest.fixture
def exporting(settings: Settings, s3_client: s3.Client) -> Iterator[Exporting]:
    stores = Stores(settings)
    yield Exporting(stores, s3_client)
    stores.close()


@pytest.fixture
def command(settings: Settings) -> Command:
    """`bulk-pipeline` in the test's own process, which finds the test's servers: words, and more of the environment."""
    named = {name: getattr(settings, name) for name in Settings.model_fields if "work" not in name}
    shown = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in named.items()
        if value is not None
    }
    environ = {name.upper(): value for name, value in shown.items()}

    def run(*words: object, **more: str) -> CompletedProcess[str]:
        done = run_here(environ | more, *words)
        return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
