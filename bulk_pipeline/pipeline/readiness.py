"""Checks the servers that the API needs, over kept connections and without retries.

Each check returns its problem, or None.
"""

from functools import cached_property

from bulk_pipeline.disk import Disk
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.dagster_tables import signs
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import S3Folder, Settings


class Readiness:
    """The readiness checks of one deployment."""

    def __init__(self, postgres: Postgres, settings: Settings) -> None:
        self._postgres = postgres
        self._settings = settings

    def database(self) -> str | None:
        """Check that Postgres answers a statement."""
        try:
            with self._postgres.transaction() as connection:
                connection.execute("SELECT 1")
        except BulkPipelineError as error:
            return str(error)
        return None

    def object_store(self) -> str | None:
        """Check that the archive's bucket exists, by a listing."""
        place = S3Folder.of(self._settings.s3_bucket_archive)
        try:
            with s3.answers(f"bucket {place.bucket}"):
                self._client.list_objects_v2(Bucket=place.bucket, Prefix=place.key(""), MaxKeys=1)
        except BulkPipelineError as error:
            return str(error)
        return None

    def disk(self) -> str | None:
        """Check that this machine has enough space for work files and temporary files."""
        try:
            return Disk.of(self._settings).problem()
        except OSError as error:
            return f"the disk does not answer: {error}"

    def orchestrator(self) -> str | None:
        """Check that Dagster's daemon shows signs of life."""
        try:
            return signs(self._postgres).problem
        except BulkPipelineError as error:
            return str(error)

    @cached_property
    def _client(self) -> s3.Client:
        return s3.connect(self._settings, attempts=1)
