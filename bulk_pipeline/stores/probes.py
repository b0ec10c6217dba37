"""Whether what the API needs is there: asked often, over connections that are kept, and not again if nobody answers.

Each gives what is wrong, None if nothing is. `servers` asks the same of servers that are only being set up.
"""

from functools import cached_property

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.dagster_tables import signs
from bulk_pipeline.stores.postgres import Postgres


class Probes:
    def __init__(self, postgres: Postgres, settings: Settings) -> None:
        self._postgres = postgres
        self._settings = settings

    def database(self) -> str | None:
        """Whether a statement is answered."""
        try:
            with self._postgres.transaction() as connection:
                connection.execute("SELECT 1")
        except BulkPipelineError as error:
            return str(error)
        return None

    def object_store(self) -> str | None:
        """Whether there is a place for what comes in. By a listing: see `servers`."""
        place = S3Folder.of(self._settings.s3_bucket_archive)
        try:
            with s3.answers(f"bucket {place.bucket}"):
                self._client.list_objects_v2(Bucket=place.bucket, Prefix=place.key(""), MaxKeys=1)
        except BulkPipelineError as error:
            return str(error)
        return None

    def orchestrator(self) -> str | None:
        """Whether Dagster's daemon gives signs of life."""
        try:
            return signs(self._postgres).problem
        except BulkPipelineError as error:
            return str(error)

    @cached_property
    def _client(self) -> s3.Client:
        return s3.connect(self._settings, attempts=1)
