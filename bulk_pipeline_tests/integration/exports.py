"""Exports into a bucket of the test's own, worked on here and now: the world of the tests of export jobs."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bulk_pipeline.orchestration.exporting import export_job
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.export_jobs import ExportJob


@dataclass
class Exporting:
    """One database, one bucket, and what a run does."""

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
        """Customers whose rows do not fit into one batch of the driver if they are some thousand."""
        query = "INSERT INTO customers (email, city) SELECT n || '@x.co', repeat('x', 128) FROM generate_series(1, %s) n"
        self.execute(query, count)

    def execute(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stores.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), given or None)
            return cursor.fetchall() if cursor.description else []

    def ask(self, table: str = "customers", **given: Any) -> ExportJob:
        return self.stores.exports.ask(ExportRequest(table=table, **given))

    def run(self, job: ExportJob, run_id: str = "run", *, cancelled: bool = False) -> ExportJob:
        return export_job(self.stores, job.id, run_id, self.told.append, lambda: cancelled)

    def exported(self, table: str = "customers", **given: Any) -> ExportJob:
        return self.run(self.ask(table, **given))

    def listed(self) -> list[str]:
        return [found.key for found in self.stores.objects.page(self.bucket).found]

    def file(self, key: str) -> bytes:
        with self.stores.objects.open(self.bucket, key) as stream:
            return stream.read()

    def manifest(self, job: ExportJob) -> dict[str, Any]:
        """As it lies in the bucket, after a look at everything that it says of files."""
        found = json.loads(self.file(f"{job.folder}manifest.json"))
        assert found == job.manifest
        assert found["folder"] == f"s3://{self.bucket}/{job.folder}"
        parts = [*found["parts"], *([found["deleted"]] if found["deleted"] else [])]
        for part in parts:
            content = self.file(job.folder + part["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (part["bytes"], part["sha256"])
        names = {"manifest.json", *(part["name"] for part in parts)}
        assert {key for key in self.listed() if key.startswith(job.folder)} == {
            job.folder + name for name in names
        }
        assert (found["rows"], found["bytes"]) == (job.rows_written, job.bytes_written)
        return found

    def lines(self, job: ExportJob) -> list[str]:
        """All lines of all parts, without the headers of CSV."""
        header = job.format == "csv"
        parts = self.manifest(job)["parts"]
        texts = [self.file(job.folder + part["name"]).decode() for part in parts]
        return [line for text in texts for line in text.split("\n")[int(header) : -1]]

    def emails(self, job: ExportJob) -> list[str]:
        """Of an export of customers as NDJSON."""
        return sorted(json.loads(line)["email"] for line in self.lines(job))

    def is_clean(self) -> bool:
        """Whether the bucket has neither an object nor an upload that is not finished."""
        return not self.listed() and not self.open_uploads()

    def open_uploads(self) -> list[str]:
        return [
            found["Key"]
            for found in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        ]

    def silence(self, job: ExportJob) -> None:
        """Its run has not been heard of for an hour."""
        query = "UPDATE bulk.export_jobs SET heartbeat_at = heartbeat_at - interval '1 hour' WHERE id = %s"
        self.execute(query, job.id)
