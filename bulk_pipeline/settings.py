"""Everything the environment can say, read once at the edges into one frozen `Settings`."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bulk_pipeline.errors import SettingsError


class Settings(BaseSettings):
    """One field per environment variable, of the same name in capitals. Durations are in the unit they name."""

    model_config = SettingsConfigDict(env_file=None, frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(description="Postgres, as postgresql://user:password@host:port/database")
    s3_endpoint_url: str | None = Field(default=None, description="S3 server; unset means AWS")
    s3_access_key: str | None = Field(default=None, description="unset means the usual AWS credential chain")
    s3_secret_key: SecretStr | None = None
    s3_region: str = "us-east-1"
    s3_bucket_uploads: str = "uploads"
    s3_bucket_archive: str = "archive"
    s3_bucket_reports: str = "reports"
    s3_bucket_exports: str = "exports"

    dagster_url: str | None = Field(default=None, description="address of the Dagster UI, for links to runs")
    bulk_work_dir: Path = Field(
        default=Path(".bulk/work"), description="folder for the files between the steps of a run"
    )

    bulk_batch_rows: int = Field(default=50_000, ge=1, description="source rows per transaction")
    bulk_load_connections: int = Field(default=2, ge=1, description="batches of a file written at a time")
    bulk_lease_seconds: float = Field(default=15, gt=0, description="a worker silent for longer is dead")
    bulk_heartbeat_seconds: float = Field(default=3, gt=0)
    bulk_max_attempts: int = Field(default=5, ge=1, description="attempts before an outage fails a job")
    bulk_retry_seconds: float = Field(default=5, ge=0, description="wait before the next attempt")
    bulk_group_files: int = Field(default=200, ge=1, description="files of one table that share a run")
    bulk_group_bytes: int = Field(default=32_000_000, ge=1, description="bytes of files that share a run")
    # Three files dropped with a pause of 2 s after each: the last is 4 s behind the first.
    bulk_settle_seconds: float = Field(default=4.5, ge=0, description="how much later a parent may arrive")
    bulk_parent_wait_seconds: float = Field(default=60, ge=0, description="longest wait for parents")
    bulk_watch_seconds: float = Field(default=4.6, ge=0, description="how long a sensor tick goes on looking")
    bulk_work_retention_hours: float = Field(default=24, ge=0, description="how long work files are kept")
    bulk_dagster_retention_days: float = Field(default=30, gt=0, description="age at which Dagster's runs go")


def read_settings(**given: object) -> Settings:
    """The environment as `Settings`; values given by name win. `SettingsError` names each wrong variable."""
    try:
        return Settings(**given)  # pyright: ignore[reportCallIssue, reportArgumentType]  # filled from the environment
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])).upper()}: {p['msg']}" for p in error.errors())
        raise SettingsError(f"{problems} (see .env.example)") from error
