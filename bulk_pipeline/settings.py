"""Everything the environment can say, read once at the edges into one frozen `Settings`."""

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from bulk_pipeline.api_settings import ApiSettings
from bulk_pipeline.budget_settings import BudgetSettings
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.limit_settings import LimitSettings

PLACEHOLDER = "CHANGE_ME"
"""What .env.example writes where a secret belongs."""

_ANY_URL = re.compile(r"[A-Za-z0-9+.-]+:/")
_S3_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/+(.*?))?/*")
_PLACES = ("s3_bucket_uploads", "s3_bucket_archive", "s3_bucket_reports", "s3_bucket_exports")


@dataclass(frozen=True)
class S3Folder:
    """What lies under a prefix in a bucket. `prefix` has no slash at its ends; empty means the whole bucket."""

    bucket: str
    prefix: str = ""

    @classmethod
    def of(cls, place: str) -> Self:
        """Read `bucket` or `bucket/prefix`, as settings and ledger write a place."""
        bucket, _, prefix = place.partition("/")
        return cls(bucket, prefix)

    def overlaps(self, other: "S3Folder") -> bool:
        """Whether an object can lie in both."""
        ours, theirs = self.key(""), other.key("")
        return self.bucket == other.bucket and (ours.startswith(theirs) or theirs.startswith(ours))

    def key(self, name: str) -> str:
        """The key of the object that the folder has under this name."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class Settings(ApiSettings, BudgetSettings, LimitSettings):
    """One field per environment variable, of the same name in capitals. Durations are in the unit they name."""

    # A variable that is empty, as compose leaves those it is not given, counts as not set.
    model_config = SettingsConfigDict(
        env_file=None, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: SecretStr = Field(description="Postgres, as postgresql://user:password@host:port/database")
    s3_endpoint_url: str | None = Field(default=None, description="S3 server; unset means AWS")
    s3_access_key: str | None = Field(default=None, description="unset means the usual AWS credential chain")
    s3_secret_key: SecretStr | None = None
    s3_region: str = "us-east-1"
    s3_addressing_style: Literal["path", "virtual"] | None = Field(
        default=None, description="bucket in the path, or in the host name; unset: path with S3_ENDPOINT_URL"
    )
    s3_ca_bundle: Path | None = Field(
        default=None, description="certificates to trust for https; unset means the usual ones"
    )
    s3_sse: Literal["AES256", "aws:kms"] | None = Field(
        default=None, description="encryption asked for with every write; unset leaves it to the bucket"
    )
    s3_sse_kms_key_id: str | None = Field(default=None, description="with aws:kms; unset means AWS' own key")
    # Each a bucket, or bucket/prefix.
    s3_bucket_uploads: str = "uploads"
    s3_bucket_archive: str = "archive"
    s3_bucket_reports: str = "reports"
    s3_bucket_exports: str = "exports"

    s3_public_endpoint_url: str | None = Field(
        default=None, description="the S3 server as clients of the API reach it, for presigned URLs"
    )

    bulk_log_format: Literal["json", "text"] | None = Field(
        default=None, description="how the API logs; unset: text on a terminal, JSON elsewhere"
    )

    dagster_url: str | None = Field(default=None, description="address of the Dagster UI, for links to runs")
    bulk_work_dir: Annotated[Path | S3Folder, NoDecode] = Field(
        default=Path(".bulk/work"),
        description="where the files between the steps of a run lie: a folder, or s3://bucket/prefix",
    )
    bulk_scratch_dir: Path = Field(
        default=Path(".bulk/work"), description="folder for a machine's own copies of work files in s3://"
    )

    bulk_batch_rows: int = Field(default=50_000, ge=1, description="source rows per transaction")
    bulk_load_connections: int = Field(default=2, ge=1, description="batches of a file written at a time")
    bulk_lease_seconds: float = Field(default=15, gt=0, description="a worker silent for longer is dead")
    bulk_heartbeat_seconds: float = Field(
        default=1, gt=0, description="how often a run renews its leases and looks for cancels"
    )
    bulk_max_attempts: int = Field(default=5, ge=1, description="attempts before an outage fails a job")
    bulk_retry_seconds: float = Field(default=5, ge=0, description="wait before the next attempt")
    bulk_group_files: int = Field(default=500, ge=1, description="files of one table that share a run")
    bulk_group_bytes: int = Field(default=32_000_000, ge=1, description="bytes of files that share a run")
    # Three files dropped with a pause of 2 s after each: the last is 4 s behind the first.
    bulk_settle_seconds: float = Field(default=4.5, ge=0, description="how much later a parent may arrive")
    bulk_parent_wait_seconds: float = Field(
        default=60, ge=0, description="longest wait for parents that nothing is being done about"
    )
    bulk_watch_seconds: float = Field(default=4.6, ge=0, description="how long a sensor tick goes on looking")
    bulk_work_retention_hours: float = Field(default=24, ge=0, description="how long work files are kept")
    bulk_nightly_export_cron: str = Field(
        default="15 1 * * *", description="when all tables are exported, in UTC"
    )
    bulk_nightly_export_formats: str = Field(
        default="csv.gz,parquet",
        description="how: csv, tsv, ndjson, json or parquet; .gz or .zst after all but parquet",
    )
    bulk_export_retention_days: float = Field(default=30, gt=0, description="age at which exports go")
    bulk_export_expiry_hours: float = Field(
        default=24, gt=0, description="a request not begun by then expires"
    )
    bulk_ledger_retention_days: float = Field(
        default=30, gt=0, description="age at which the batches of a finished job become one"
    )
    bulk_archive_retention_days: float | None = Field(
        default=None, gt=0, description="age at which archived uploads go; unset: never"
    )
    bulk_report_retention_days: float = Field(default=90, gt=0, description="age at which reports go")
    bulk_dagster_retention_days: float = Field(default=30, gt=0, description="age at which Dagster's runs go")

    def run_url(self, run_id: str | None) -> str | None:
        """Where people look at a run, if that is known."""
        return f"{self.dagster_url}/runs/{run_id}" if self.dagster_url and run_id else None

    @field_validator("*", mode="before")
    @classmethod
    def _no_placeholder(cls, given: object) -> object:
        text = given.get_secret_value() if isinstance(given, SecretStr) else given
        if isinstance(text, str) and PLACEHOLDER in text:
            raise ValueError(f"still holds the placeholder {PLACEHOLDER}: put a real value there")
        return given

    @field_validator(*_PLACES)
    @classmethod
    def _place(cls, given: str) -> str:
        place = given.strip("/")
        if not all(place.split("/")):
            raise ValueError(f"{given!r} is neither a bucket nor bucket/prefix")
        return place

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        for one, other in combinations(_PLACES, 2):
            if S3Folder.of(getattr(self, one)).overlaps(S3Folder.of(getattr(self, other))):
                raise ValueError(f"{one.upper()} and {other.upper()} overlap: give each a place of its own")
        if self.s3_sse_kms_key_id and self.s3_sse != "aws:kms":
            raise ValueError("S3_SSE_KMS_KEY_ID goes with S3_SSE=aws:kms only")
        if self.metrics_port == self.api_port:
            raise ValueError(
                f"METRICS_PORT and API_PORT are both {self.api_port}: give each a port of its own"
            )
        return self

    @field_validator("bulk_work_dir", mode="before")
    @classmethod
    def _work_place(cls, given: object, fields: ValidationInfo) -> object:
        if not isinstance(given, str) or not _ANY_URL.match(given):
            return given
        found = _S3_URL.fullmatch(given)
        if found is None:
            raise ValueError(f"{given!r} is neither a folder nor s3://bucket/prefix")
        place = S3Folder(found[1], found[2] or "")
        if any(place.overlaps(S3Folder.of(fields.data[name])) for name in _PLACES if name in fields.data):
            raise ValueError(f"{given!r} is in a bucket that holds other things: give work files their own")
        return place


def read_settings(**given: object) -> Settings:
    """The environment as `Settings`; values given by name win. `SettingsError` names each wrong variable."""
    try:
        return Settings(**given)  # pyright: ignore[reportCallIssue, reportArgumentType]  # filled from the environment
    except ValidationError as error:
        raise SettingsError("; ".join(_problem(problem) for problem in error.errors())) from error


_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
}
"""By pydantic's stable names of problems, whose sentences are for programmers."""


def sentence(problem: ErrorDetails) -> str:
    """One of pydantic's problems with a value in our words: the value, and what is expected."""
    context = problem.get("ctx", {})
    if problem["type"] in _EXPECTED:
        return f"{problem['input']!r} is wrong; expected {_EXPECTED[problem['type']].format(**context)}"
    return str(context.get("error", problem["msg"]))


def _problem(problem: ErrorDetails) -> str:
    """The sentence about a variable, which it begins with."""
    name = "".join(map(str, problem["loc"]))
    field = Settings.model_fields.get(name)
    if problem["type"] == "missing":
        expected = field.description if field and field.description else "a value"
        return f"{name.upper()} is not set; expected {expected}"
    return f"{name.upper()}: {sentence(problem)}" if name else sentence(problem)
