"""The stores that runs, sensors and the API use, created once from the settings."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bulk_pipeline.disk import Disk
from bulk_pipeline.ledger.accounts import Accounts
from bulk_pipeline.ledger.attempts import Attempts
from bulk_pipeline.ledger.claims import Claims
from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.ledger.exports import Exports
from bulk_pipeline.ledger.failure_reports import FailureReports
from bulk_pipeline.ledger.file_checks import FileChecks
from bulk_pipeline.ledger.job_table import J
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.lease_queries import EXPORT_QUERIES, IMPORT_QUERIES, LeaseQueries
from bulk_pipeline.ledger.leases import Leases
from bulk_pipeline.ledger.outbox import Outbox
from bulk_pipeline.ledger.queue import Ledger
from bulk_pipeline.ledger.rejected_rows import RejectedRows
from bulk_pipeline.ledger.retention import Retention
from bulk_pipeline.ledger.sessions import Sessions
from bulk_pipeline.ledger.uploads import Receiver
from bulk_pipeline.ledger.visibility import VisibleImports
from bulk_pipeline.pipeline.readiness import Readiness
from bulk_pipeline.pipeline.work_mirror import WorkMirror
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import S3Folder, Settings

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.work_files import WorkLocation


@dataclass(frozen=True)
class Stores:
    """Postgres, the object store, and the objects of the ledger in them, each created on first use."""

    settings: Settings

    @property
    def database_url(self) -> str:
        return self.settings.database_url.get_secret_value()

    @cached_property
    def postgres(self) -> Postgres:
        return Postgres(self.database_url)

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.settings)

    @cached_property
    def work(self) -> "WorkLocation":
        from bulk_pipeline.pipeline.work_files import (
            WorkLocation,  # imports Arrow, which readers of the ledger do not need
        )

        place = self.settings.bulk_work_dir
        mirror = WorkMirror(self.objects, place) if isinstance(place, S3Folder) else None
        return WorkLocation(self.settings.local_work_dir.resolve(), mirror)

    @cached_property
    def disk(self) -> Disk:
        return Disk.of(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.postgres)

    @cached_property
    def rejected_rows(self) -> RejectedRows:
        return RejectedRows(self.postgres)

    @cached_property
    def claims(self) -> Claims:
        return Claims(self.postgres, self.objects, self.settings.s3_bucket_archive)

    @cached_property
    def public_objects(self) -> ObjectStore:
        """The object store at its public address, for links, which are signed for its host."""
        public = self.settings.s3_public_endpoint_url
        return (
            ObjectStore(self.settings.model_copy(update={"s3_endpoint_url": public}))
            if public
            else self.objects
        )

    @cached_property
    def failures(self) -> FailureReports:
        return FailureReports(self.objects, self.settings.s3_bucket_reports)

    @cached_property
    def visible_imports(self) -> VisibleImports:
        return VisibleImports(self.postgres)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.postgres)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.postgres)

    @cached_property
    def file_checks(self) -> FileChecks:
        return FileChecks(self.postgres)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.postgres, seconds=self.settings.office_session_seconds)

    @cached_property
    def receiver(self) -> Receiver:
        return Receiver(self.postgres, self.objects, self.settings.s3_bucket_archive)

    @cached_property
    def retention(self) -> Retention:
        settings = self.settings
        return Retention(
            self.postgres,
            self.objects,
            archive=settings.s3_bucket_archive,
            reports=settings.s3_bucket_reports,
        )

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts(self.postgres)

    @cached_property
    def leases(self) -> Leases[ImportJob]:
        return self._leases(IMPORT_QUERIES)

    @cached_property
    def exports(self) -> Exports:
        return Exports(self.postgres)

    @cached_property
    def export_leases(self) -> Leases[ExportJob]:
        return self._leases(EXPORT_QUERIES)

    @cached_property
    def probes(self) -> Readiness:
        return Readiness(self.postgres, self.settings)

    def close(self) -> None:
        self.postgres.close()

    def _leases(self, queries: LeaseQueries[J]) -> Leases[J]:
        return Leases(
            self.postgres,
            queries,
            lease_seconds=self.settings.bulk_lease_seconds,
            retry_seconds=self.settings.bulk_retry_seconds,
            max_attempts=self.settings.bulk_max_attempts,
            max_crashes=self.settings.bulk_max_crashes,
        )
