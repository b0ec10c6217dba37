"""A pipeline without Dagster's processes, which runs import jobs in the test's process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any, LiteralString

import dagster as dg
import psycopg

from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.orchestration.io_manager import STATES
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.resources import build_resources
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.stages.counts import Counts

Command = Callable[..., CompletedProcess[str]]
LOOK_AGAIN_SECONDS = 0.1
"""Pause between two passes: the store's clock, which decides when a file may start, has only whole seconds."""


@dataclass
class Pipeline:
    """The work of the sensor and of runs in the test's own process, on real Postgres and real S3."""

    stores: Stores
    instance: dg.DagsterInstance
    cursor: str | None = None

    def drop(self, key: str, content: bytes, **metadata: str) -> None:
        self.stores.objects.put(self.stores.settings.s3_bucket_uploads, key, content, metadata=metadata)

    def claim_as_of_one_moment(self) -> None:
        """Let all files in the inbox share a run, even if a second began between two of them."""
        self._claim("(SELECT min(arrived_at) FROM bulk.import_jobs)")

    def claim_as_of_a_while_ago(self) -> None:
        """Date the files in the inbox back, so that none has to wait for the store's next second."""
        self._claim("arrived_at - interval '3 s'")

    def _claim(self, arrived_at: LiteralString) -> None:
        for entry in self.stores.objects.page(self.stores.settings.s3_bucket_uploads).objects:
            self.stores.claims.claim(entry)
        with psycopg.connect(self.stores.database_url) as connection:
            connection.execute(
                f"UPDATE bulk.import_jobs SET arrived_at = {arrived_at} WHERE status = 'pending'"
            )

    def work_off(self) -> None:
        """Claim and run until no job can start."""
        while True:
            intake = take_in(self.stores, self.cursor)
            self.cursor = intake.cursor
            for request in intake.requests:
                self.stores.ledger.requested(request.key)
                self.run(*(job.id for job in request.jobs))
            if intake.is_complete and not (intake.claimed or self.stores.ledger.open_jobs()):
                return
            if not intake.requests:
                time.sleep(LOOK_AGAIN_SECONDS)

    def run(self, *job_ids: str) -> dg.ExecuteInProcessResult:
        """Run the import job once; an error is only in the result."""
        return self.launch(job_ids=list(job_ids))

    def launch(self, **config: Any) -> dg.ExecuteInProcessResult:
        """Run the import job once with a config, as from the Launchpad; an error is only in the result."""
        return import_files.execute_in_process(
            run_config={"ops": {"parse": {"config": config}}},
            resources=build_resources(self.stores) | {STATES: dg.mem_io_manager},
            instance=self.instance,
            raise_on_error=False,
        )

    def load(self, key: str, content: bytes, **metadata: str) -> ImportJob:
        """Upload a file, run all jobs, and return the file's job."""
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
        return [entry.key for entry in page.objects]

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stores.database_url) as connection:
            return connection.execute(query.encode()).fetchall()
