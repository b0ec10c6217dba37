"""The stores a run or a sensor works with, made once from the settings."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.accounts import Accounts
from bulk_pipeline.stores.attempts import Attempts
from bulk_pipeline.stores.claims import Claims
from bulk_pipeline.stores.export_leases import ExportLeases
from bulk_pipeline.stores.exports import Exports
from bulk_pipeline.stores.failure_reports import FailureReports
from bulk_pipeline.stores.leases import Leases
from bulk_pipeline.stores.ledger import Ledger
from bulk_pipeline.stores.objects import ObjectStore
from bulk_pipeline.stores.postgres import Postgres
from bulk_pipeline.stores.probes import Probes
from bulk_pipeline.stores.receiver import Receiver
from bulk_pipeline.stores.retention import Retention
from bulk_pipeline.stores.visible_imports import VisibleImports
from bulk_pipeline.stores.work_mirror import WorkMirror

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.work import WorkLocation


@dataclass(frozen=True)
class Stores:
    """Postgres and the object store, and the nouns of the ledger that live in them."""

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
        from bulk_pipeline.orchestration.work import (
            WorkLocation,  # Arrow: what only reads the ledger needs none
        )

        place = self.settings.bulk_work_dir
        if isinstance(place, Path):
            return WorkLocation(place.resolve())
        return WorkLocation(self.settings.bulk_scratch_dir.resolve(), WorkMirror(self.objects, place))

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.postgres)

    @cached_property
    def claims(self) -> Claims:
        return Claims(self.postgres, self.objects, self.settings.s3_bucket_archive)

    @cached_property
    def public_objects(self) -> ObjectStore:
        """The object store as clients of the API reach it: for links, which are signed for its host."""
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
    def leases(self) -> Leases:
        return Leases(
            self.postgres,
            lease_seconds=self.settings.bulk_lease_seconds,
            retry_seconds=self.settings.bulk_retry_seconds,
            max_attempts=self.settings.bulk_max_attempts,
            max_crashes=self.settings.bulk_max_crashes,
        )

    @cached_property
    def exports(self) -> Exports:
        return Exports(self.postgres)

    @cached_property
    def export_leases(self) -> ExportLeases:
        return ExportLeases(
            self.postgres,
            lease_seconds=self.settings.bulk_lease_seconds,
            retry_seconds=self.settings.bulk_retry_seconds,
            max_attempts=self.settings.bulk_max_attempts,
        )

    @cached_property
    def probes(self) -> Probes:
        return Probes(self.postgres, self.settings)

    def close(self) -> None:
        self.postgres.close()
