"""Exports to a bucket of the test's own, run in the test's process."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.stages.export.request import ExportRequest


@dataclass
class Exporting:
    """One database and one bucket, with the actions of a run."""

    stores: Stores
    client: s3.Client
    told: list[str] = field(default_factory=list)

    @property
    def bucket(self) -> str:
        return self.stores.settings.s3_bucket_exports

    def have(self, *emails: str) -> None:
        for email in emails:
            self.execute("INSERT INTO customers (email) VALUES (%s)", email)

    def have_many(self, count: int) -> None:
        """Insert customers; some thousand of them do not fit into one batch of the driver."""
        query = "INSERT INTO customers (email, city) SELECT n || '@x.co', repeat('x', 128) FROM generate_series(1, %s) n"
        self.execute(query, count)

    def execute(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stores.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), args or None)
            return cursor.fetchall() if cursor.description else []

    def ask(self, table: str = "customers", **kwargs: Any) -> ExportJob:
        return self.stores.exports.ask(ExportRequest.of(table=table, **kwargs))

    def run(self, job: ExportJob, run_id: str = "run", *, cancelled: bool = False) -> ExportJob:
        return export_job(self.stores, job.id, run_id, self.told.append, lambda: cancelled)

    def exported(self, table: str = "customers", **kwargs: Any) -> ExportJob:
        return self.run(self.ask(table, **kwargs))

    def listed(self) -> list[str]:
        return [entry.key for entry in self.stores.objects.page(self.bucket).objects]

    def file(self, key: str) -> bytes:
        with self.stores.objects.open(self.bucket, key) as stream:
            return stream.read()

    def manifest(self, job: ExportJob) -> dict[str, Any]:
        """Return the manifest in the bucket, after a check of all that it says about files."""
        result = json.loads(self.file(f"{job.folder}manifest.json"))
        assert result == job.manifest
        assert result["folder"] == f"s3://{self.bucket}/{job.folder}"
        parts = [*result["parts"], *([result["deleted"]] if result["deleted"] else [])]
        for part in parts:
            content = self.file(job.folder + part["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (part["bytes"], part["sha256"])
        names = {"manifest.json", *(part["name"] for part in parts)}
        assert {key for key in self.listed() if key.startswith(job.folder)} == {
            job.folder + name for name in names
        }
        assert (result["rows"], result["bytes"]) == (job.rows_written, job.bytes_written)
        return result

    def lines(self, job: ExportJob) -> list[str]:
        """Return all lines of all parts, without headers of CSV."""
        header = job.format == "csv"
        parts = self.manifest(job)["parts"]
        texts = [self.file(job.folder + part["name"]).decode() for part in parts]
        return [line for text in texts for line in text.split("\n")[int(header) : -1]]

    def emails(self, job: ExportJob) -> list[str]:
        """Return the addresses in an export of customers as NDJSON."""
        return sorted(json.loads(line)["email"] for line in self.lines(job))

    def is_clean(self) -> bool:
        """Return True if the bucket has neither objects nor unfinished uploads."""
        return not self.listed() and not self.open_uploads()

    def open_uploads(self) -> list[str]:
        return [
            entry["Key"]
            for entry in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        ]

    def silence(self, job: ExportJob) -> None:
        """Make the last heartbeat of the job's run an hour old."""
        query = "UPDATE bulk.job_leases SET heartbeat_at = heartbeat_at - interval '1 hour' WHERE job_id = %s"
        self.execute(query, job.id)
