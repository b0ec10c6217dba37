"""All settings. They are read from the environment once, by the programs' entry points, into one frozen `Settings`."""

import os
import re
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from functools import partial
from ipaddress import ip_network
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bulk_pipeline.browsers import host_of
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline.rights import JobsRight, Rights, read_tables

PLACEHOLDER = "CHANGE_ME"
"""The text that .env.example has in place of secrets."""

TABLES_FOLDER = "tables"
"""The folder of a project that holds its table files."""

NO_PROJECT = "none"
"""The value of `BULK_PROJECT` with which the package's own tables are served in every folder."""

_ANY_URL = re.compile(r"[A-Za-z0-9+.-]+:/")
_S3_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/+(.*?))?/*")
_PLACES = ("s3_bucket_uploads", "s3_bucket_archive", "s3_bucket_reports", "s3_bucket_exports")
_ALL_PLACES = (*_PLACES, "s3_bucket_logs")


_OWNER = re.compile(r"team:\w+|[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)


@dataclass(frozen=True)
class S3Folder:
    """A bucket, or a prefix in it. `prefix` has no slash at its ends; if empty, it is the whole bucket."""

    bucket: str
    prefix: str = ""

    @classmethod
    def of(cls, place: str) -> Self:
        """Read `bucket` or `bucket/prefix`, the form of settings and ledger."""
        bucket, _, prefix = place.partition("/")
        return cls(bucket, prefix)

    def overlaps(self, other: "S3Folder") -> bool:
        """Return whether an object can belong to both."""
        ours, theirs = self.key(""), other.key("")
        return self.bucket == other.bucket and (ours.startswith(theirs) or theirs.startswith(ours))

    def key(self, name: str) -> str:
        """Return the key of the object of this name in the folder."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class _Section(BaseSettings):
    """A group of settings: one field per environment variable, of the same name in capitals."""

    # An empty variable counts as not set: compose passes unset variables as empty ones.
    model_config = SettingsConfigDict(
        env_file=None, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )


class ProjectSettings(_Section):
    """The folder whose tables are served."""

    bulk_project: str | None = Field(
        default=None,
        description="folder with table files in tables/; none: the package's own tables; unset: the current folder if "
        "it has a folder tables, else none",
    )

    @property
    def project(self) -> Path | None:
        """The folder of the project; None if there is none."""
        if self.bulk_project == NO_PROJECT:
            return None
        if self.bulk_project:
            return Path(self.bulk_project).resolve()
        here = Path.cwd()
        return here if (here / TABLES_FOLDER).is_dir() else None

    @field_validator("bulk_project")
    @classmethod
    def _has_tables(cls, folder: str | None) -> str | None:
        if folder and folder != NO_PROJECT and not (Path(folder) / TABLES_FOLDER).is_dir():
            raise ValueError(f"{folder!r} has no folder {TABLES_FOLDER}: create it, or name another folder")
        return folder


class S3Settings(_Section):
    """Settings of the object store. Dagster's webserver, which only reads logs of runs, reads these alone."""

    s3_endpoint_url: str | None = Field(default=None, description="S3 server; unset means AWS")
    s3_access_key: str | None = Field(default=None, description="unset means the usual AWS credential chain")
    s3_secret_key: SecretStr | None = Field(
        default=None, description="the secret that belongs to S3_ACCESS_KEY"
    )
    s3_region: str = Field(default="us-east-1", description="region of the buckets")
    s3_addressing_style: Literal["path", "virtual"] | None = Field(
        default=None,
        description="bucket in the path or in the host name, path or virtual; unset: path if S3_ENDPOINT_URL "
        "is set, else virtual",
    )
    s3_ca_bundle: Path | None = Field(
        default=None, description="certificates to trust for https; unset means the system's"
    )
    s3_sse: Literal["AES256", "aws:kms"] | None = Field(
        default=None,
        description="encryption of every write, AES256 or aws:kms; unset means the bucket's default",
    )
    s3_sse_kms_key_id: str | None = Field(
        default=None, description="key for aws:kms; unset means AWS's own key"
    )
    s3_bucket_logs: str | None = Field(
        default=None,
        description="bucket, or bucket/prefix, for the output of runs; unset: logs on the embedded server; elsewhere "
        "the output stays in DAGSTER_HOME/storage",
    )

    @field_validator("s3_bucket_logs")
    @classmethod
    def _logs_place(cls, text: str | None) -> str | None:
        return text and _bucket_or_prefix(text)


class DagsterChange(StrEnum):
    """A change to Dagster's insides that can be turned off."""

    FORKED_RUNS = "forked_runs"
    """Runs are forks of a warm process, instead of processes that import everything."""
    PROMPT_DAEMON = "prompt_daemon"
    """A submitted run is launched at once, and the sensor's next tick follows, instead of up to 1 and 5 s later."""
    POOLED_STORAGE = "pooled_storage"
    """Connections to Dagster's tables are kept, and commit without waiting for the disk."""
    GUARDED_UI = "guarded_ui"
    """The webserver of the embedded stack refuses what pages of other sites send."""


class LaunchSettings(_Section):
    """Settings of Dagster's processes, which may be read alone."""

    dagster_home: Path = Field(default=Path(".bulk/dagster"), description="folder of Dagster's instance")
    bulk_plain_dagster: str = Field(
        default="",
        description=f"changes to Dagster to turn off, separated by commas: {', '.join(DagsterChange)}",
    )

    @field_validator("bulk_plain_dagster")
    @classmethod
    def _known_changes(cls, text: str) -> str:
        unknown = {*listed(text)} - set(DagsterChange)
        if unknown:
            expected = ", ".join(DagsterChange)
            raise ValueError(f"{', '.join(sorted(unknown))} is unknown; expected some of {expected}")
        return text

    def changes(self, change: DagsterChange) -> bool:
        """Return whether this change to Dagster is made."""
        return change not in listed(self.bulk_plain_dagster)


class ApiSettings(_Section):
    """Settings of the HTTP API. Durations are in seconds."""

    api_host: str = Field(default="127.0.0.1", description="address at which the HTTP API listens")
    api_port: int = Field(default=8080, ge=0, le=65535, description="its port")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port that serves only /metrics, while API_PORT answers 404 for it; unset: API_PORT serves it",
    )
    api_url: str | None = Field(default=None, description="address of the HTTP API, for people")
    api_hosts: str = Field(
        default="",
        description="further host names of the API, separated by commas; requests for any other name get 421",
    )
    api_trusted_proxies: str = Field(
        default="",
        description="addresses and networks of proxies whose X-Forwarded-For is trusted, separated by commas",
    )
    api_jwt_secret: SecretStr | None = Field(
        default=None, description="secret that signs tokens; at least 32 bytes. The embedded stack makes one"
    )
    api_token_seconds: int = Field(default=3600, ge=1, description="lifetime of a token")
    office_session_seconds: int = Field(
        default=43_200, ge=60, description="time after which people sign in to the pages for the office again"
    )
    api_token_required: bool = Field(default=False, description="whether /api/v1 requires a token")
    api_registration: Literal["open", "closed"] = Field(
        default="open",
        description="whether clients may create accounts themselves, open or closed; `bulk-pipeline account add` "
        "creates accounts in any case",
    )
    # The defaults cover what clients of the previous services did: nobody exported customers over HTTP.
    api_registered_import: str = Field(
        default="customers,users,articles,comments",
        description="tables into which accounts created over HTTP may import; * for every table, none for none",
    )
    api_registered_export: str = Field(
        default="users,articles,comments", description="tables that such accounts may export"
    )
    api_registered_jobs: JobsRight = Field(
        default=JobsRight.OWN, description="jobs that such accounts may see, read and cancel: own or all"
    )
    api_max_upload_bytes: int = Field(default=5_000_000_000, ge=1, description="larger files get 413")
    api_presigned_seconds: int = Field(default=3600, ge=1, description="lifetime of links to files")
    api_max_streams: int = Field(
        default=8, ge=1, description="exports streamed at a time by a process; more get 429"
    )
    api_max_streams_per_caller: int = Field(
        default=4, ge=1, description="streams of one account, or of one address without a token"
    )
    api_stream_idle_seconds: float = Field(
        default=300,
        gt=0,
        description="time after which a client that reads nothing of a stream, or sends nothing of a body, is cut off",
    )
    api_fetch_private: bool = Field(
        default=False,
        description="whether file_url may lead to addresses that are not on the public internet",
    )
    api_fetch_ports: str = Field(
        default="80,443", description="ports that file_url may lead to, separated by commas"
    )
    api_fetch_max_bytes: int = Field(default=1_000_000_000, ge=1, description="larger files are not fetched")
    api_fetch_seconds: float = Field(default=60, gt=0, description="longest time for fetching a file")
    api_fetch_redirects: int = Field(default=5, ge=0, description="most redirects of file_url")

    @property
    def known_hosts(self) -> frozenset[str]:
        """Host names in lower case: localhost, and those of `API_HOST`, `API_URL` and `API_HOSTS`."""
        texts = ("localhost", self.api_host, self.api_url or "", *listed(self.api_hosts))
        return frozenset(host for text in texts if (host := host_of(text)))

    @property
    def trusted_proxies(self) -> list[str]:
        """The addresses and networks of `API_TRUSTED_PROXIES`."""
        return list(listed(self.api_trusted_proxies))

    @property
    def registered_rights(self) -> Rights:
        """Rights of accounts that clients create over HTTP."""
        return Rights(
            read_tables(self.api_registered_import),
            read_tables(self.api_registered_export),
            self.api_registered_jobs,
        )

    @property
    def fetch_ports(self) -> frozenset[int]:
        """The ports of `API_FETCH_PORTS`."""
        return frozenset(map(int, listed(self.api_fetch_ports)))

    @field_validator("api_trusted_proxies")
    @classmethod
    def _proxies(cls, text: str) -> str:
        for proxy in listed(text):
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    f"{proxy!r} is neither an address nor a network: write them like 10.1.2.3 or 10.1.2.0/24"
                ) from error
        return text

    @field_validator("api_fetch_ports")
    @classmethod
    def _ports(cls, text: str) -> str:
        ports = listed(text)
        for port in ports or ("",):
            if not (port.isdecimal() and port.isascii() and 0 < int(port[:6]) <= 65535):
                raise ValueError(f"{port!r} is not a port: write ports like 80,443")
        return ",".join(ports)


class UploadSettings(_Section):
    """Bounds of one upload: those that `limits.Limits` explains, and those of its job."""

    bulk_max_cell_bytes: int = Field(
        default=DEFAULT_LIMITS.cell_bytes, ge=1, description="a row with a larger cell is rejected"
    )
    bulk_max_row_bytes: int = Field(
        default=DEFAULT_LIMITS.row_bytes, ge=1000, description="a larger row is rejected"
    )
    bulk_max_name_bytes: int = Field(
        default=DEFAULT_LIMITS.name_bytes, ge=1, description="a file with a longer column name is refused"
    )
    bulk_max_columns: int = Field(
        default=DEFAULT_LIMITS.columns, ge=1, description="a file with more columns is refused"
    )
    bulk_max_batch_bytes: int = Field(
        default=DEFAULT_LIMITS.batch_bytes,
        ge=1000,
        description="decoded bytes of rows that are held together in memory",
    )
    bulk_max_unpacked_bytes: int = Field(
        default=DEFAULT_LIMITS.unpacked_bytes, ge=1, description="a file that unpacks to more is refused"
    )
    bulk_max_ratio: int = Field(
        default=DEFAULT_LIMITS.ratio,
        ge=1,
        description="decoded bytes per uploaded byte, from 100 MB on; a file with more is refused",
    )
    bulk_max_sheet_bytes: int = Field(
        default=DEFAULT_LIMITS.sheet_bytes, ge=1, description="an .xlsx file that unpacks to more is refused"
    )
    bulk_max_sheet_cells: int = Field(
        default=DEFAULT_LIMITS.sheet_cells,
        ge=1,
        description="a sheet that spans more cells is refused",
    )
    bulk_max_rejected_rows: int = Field(
        default=1_000_000, ge=0, description="a file with more rejected rows fails before it is loaded"
    )
    bulk_max_report_bytes: int = Field(
        default=1_000_000_000, ge=0, description="approximate limit of the reports of a file"
    )
    bulk_max_work_bytes: int = Field(
        default=100_000_000_000,
        ge=1,
        description="a file with larger work files fails before it is loaded",
    )
    bulk_min_free_bytes: int = Field(
        default=1_000_000_000,
        ge=0,
        description="imports wait while less disk space is free for work files",
    )
    bulk_max_crashes: int = Field(
        default=2, ge=1, description="crashed runs of a single file before its job fails"
    )
    bulk_run_memory_bytes: int | None = Field(
        default=None,
        ge=300_000_000,
        description="memory of a run; unset: a quarter of the machine's or container's, from 1 GiB to 2 GiB",
    )

    @property
    def limits(self) -> Limits:
        """The bounds that the parser enforces."""
        return Limits(
            **{
                bound.name: getattr(self, f"bulk_max_{bound.name}")
                for bound in fields(Limits)
                if f"bulk_max_{bound.name}" in UploadSettings.model_fields
            }
        )


class NotifySettings(_Section):
    """Recipients of messages about files, besides those in the table files, and how messages are sent."""

    notify_urls: SecretStr | None = Field(
        default=None,
        description="recipients of messages about every table, separated by commas: webhooks, e-mail addresses, "
        "Apprise URLs, or $NAME for the variable that holds one",
    )
    notify_on: str = Field(
        default="rejected,failed,late",
        description="what they are told: finished, rejected, failed, cancelled, late",
    )
    notify_webhook_secret: SecretStr | None = Field(
        default=None, description="secret that signs webhooks, whsec_ and base64"
    )
    notify_mail_url: SecretStr | None = Field(
        default=None,
        description="mail server for e-mail addresses, as an Apprise URL: mailtos://user:password@host?from=address",
    )
    notify_private: bool = Field(
        default=False, description="whether webhooks may have addresses that are not on the public internet"
    )
    notify_values: bool = Field(
        default=False, description="whether messages quote the cells of rejected rows"
    )
    notify_seconds: float = Field(default=10, gt=0, le=30, description="longest time for sending a message")
    notify_digest: str | None = Field(
        default=None, description="time of a daily summary to NOTIFY_URLS, like `daily by 18:00 Europe/Rome`"
    )


class Settings(NotifySettings, ApiSettings, LaunchSettings, ProjectSettings, S3Settings, UploadSettings):
    """All settings of the pipeline. Durations are in the unit they name."""

    database_url: SecretStr = Field(description="Postgres, as postgresql://user:password@host:port/database")
    s3_bucket_uploads: str = Field(
        default="uploads", description="bucket, or bucket/prefix, into which files are dropped"
    )
    s3_bucket_archive: str = Field(
        default="archive", description="bucket, or bucket/prefix, for a copy of every upload"
    )
    s3_bucket_reports: str = Field(
        default="reports", description="bucket, or bucket/prefix, for errors.csv and the other reports"
    )
    s3_bucket_exports: str = Field(
        default="exports", description="bucket, or bucket/prefix, for exported tables"
    )

    s3_public_endpoint_url: str | None = Field(
        default=None, description="address of the S3 server for clients of the API, in presigned URLs"
    )

    bulk_log_format: Literal["json", "text"] | None = Field(
        default=None,
        description="format of the API's log, json or text; unset: text on a terminal, json elsewhere",
    )

    dagster_url: str | None = Field(default=None, description="address of the Dagster UI, for links to runs")
    bulk_work_dir: Annotated[Path | S3Folder, NoDecode] = Field(
        default=Path(".bulk/work"),
        description="place of work files between the steps of a run: a folder, or s3://bucket/prefix",
    )
    bulk_scratch_dir: Path = Field(
        default=Path(".bulk/work"),
        description="with BULK_WORK_DIR=s3://…: folder for a machine's own copies of work files",
    )

    bulk_batch_rows: int = Field(
        default=50_000, ge=1, description="rows of a file per transaction; fewer if they are wide"
    )
    bulk_load_connections: int = Field(
        default=2, ge=1, description="transactions that load one file concurrently"
    )
    bulk_lease_seconds: float = Field(
        default=15, gt=0, description="silence after which a worker is declared dead"
    )
    bulk_heartbeat_seconds: float = Field(
        default=1, gt=0, description="interval at which a run renews its leases and checks for cancels"
    )
    bulk_max_attempts: int = Field(
        default=5, ge=1, description="attempts after which a job that has committed no rows fails"
    )
    bulk_retry_seconds: float = Field(default=5, ge=0, description="wait before the next attempt")
    bulk_group_files: int = Field(
        default=500, ge=1, description="most small files of one table that share a run"
    )
    bulk_group_bytes: int = Field(
        default=32_000_000, ge=1, description="most bytes of files that share a run"
    )
    # Three files dropped with a pause of 2 s after each: the last is 4 s behind the first.
    bulk_settle_seconds: float = Field(
        default=4.5,
        ge=0,
        description="time after a child file within which a parent file is still loaded first",
    )
    bulk_parent_wait_seconds: float = Field(
        default=60, ge=0, description="longest wait for a parent file whose import is stuck"
    )
    bulk_watch_seconds: float = Field(
        default=4.6, ge=0, description="time for which one tick of the sensor keeps polling the inbox"
    )
    bulk_work_retention_hours: float = Field(
        default=24, ge=0, description="age at which work files that a finished job left behind are deleted"
    )
    bulk_asset_owners: str = Field(
        default="",
        description="owners of the assets in the Dagster UI, separated by commas: addresses, or teams as team:office",
    )
    bulk_first_night: date | None = Field(
        default=None,
        description="first day of the exports in the Dagster UI; without it, as long ago as exports are kept",
    )
    bulk_nightly_export_cron: str = Field(
        default="15 1 * * *", description="time of the export of all tables, in UTC"
    )
    bulk_nightly_export_formats: str = Field(
        default="csv.gz,parquet",
        description="formats of that export: csv, tsv, ndjson, json, each also with .gz or .zst, parquet or xlsx",
    )
    bulk_export_retention_days: float = Field(
        default=30, gt=0, description="age at which exports are deleted"
    )
    bulk_export_expiry_hours: float = Field(
        default=24, gt=0, description="time after which a request that no run has started expires"
    )
    bulk_ledger_retention_days: float = Field(
        default=30, gt=0, description="age at which the batches of a finished job are merged into one"
    )
    bulk_archive_retention_days: float | None = Field(
        default=None, gt=0, description="age at which archived uploads are deleted; unset: never"
    )
    bulk_report_retention_days: float = Field(
        default=90, gt=0, description="age at which reports are deleted"
    )
    bulk_dagster_retention_days: float = Field(
        default=30, gt=0, description="age at which Dagster's runs and their output are deleted"
    )

    def run_url(self, run_id: str | None) -> str | None:
        """Return the address of a run in the Dagster UI, None if it is unknown."""
        return f"{self.dagster_url}/runs/{run_id}" if self.dagster_url and run_id else None

    @field_validator("bulk_asset_owners")
    @classmethod
    def _known_owners(cls, text: str) -> str:
        for owner in listed(text):
            if not _OWNER.fullmatch(owner):
                raise ValueError(f"{owner!r} is no owner: write an address, or a team as team:office")
        return text

    @property
    def asset_owners(self) -> tuple[str, ...]:
        return listed(self.bulk_asset_owners)

    @field_validator("*", mode="before")
    @classmethod
    def _no_placeholder(cls, value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and PLACEHOLDER in text:
            raise ValueError(f"still contains the placeholder {PLACEHOLDER}: replace it with a real value")
        return value

    @field_validator(*_PLACES)
    @classmethod
    def _place(cls, text: str) -> str:
        return _bucket_or_prefix(text)

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        for name, other in combinations(filter(partial(getattr, self), _ALL_PLACES), 2):
            if S3Folder.of(getattr(self, name)).overlaps(S3Folder.of(getattr(self, other))):
                raise ValueError(f"{name.upper()} and {other.upper()} overlap: choose separate places")
        if self.s3_sse_kms_key_id and self.s3_sse != "aws:kms":
            raise ValueError("S3_SSE_KMS_KEY_ID requires S3_SSE=aws:kms")
        if self.metrics_port == self.api_port:
            raise ValueError(f"METRICS_PORT and API_PORT are both {self.api_port}: choose different ports")
        return self

    @property
    def local_work_dir(self) -> Path:
        """This machine's folder for work files: all of them or, with `s3://`, its own copies."""
        return self.bulk_work_dir if isinstance(self.bulk_work_dir, Path) else self.bulk_scratch_dir

    @field_validator("bulk_work_dir", mode="before")
    @classmethod
    def _work_place(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or not _ANY_URL.match(value):
            return value
        url = _S3_URL.fullmatch(value)
        if url is None:
            raise ValueError(f"{value!r} is neither a folder nor s3://bucket/prefix")
        folder = S3Folder(url[1], url[2] or "")
        others = [S3Folder.of(place) for place in map(info.data.get, _ALL_PLACES) if place]
        if any(map(folder.overlaps, others)):
            raise ValueError(f"{value!r} overlaps the place of other files: choose a separate one")
        return folder


def variable(name: str) -> str | None:
    """Return the value of an environment variable that a table file names; an empty one counts as not set."""
    return os.environ.get(name) or None


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a list separated by commas, without blanks around them and without empty ones."""
    return tuple(part for piece in text.split(",") if (part := piece.strip()))


def _bucket_or_prefix(text: str) -> str:
    """Return a bucket, or bucket/prefix, without slashes at its ends. Raises `ValueError` for anything else."""
    name = text.strip("/")
    if not all(name.split("/")):
        raise ValueError(f"{text!r} is neither a bucket nor bucket/prefix")
    return name


def read_settings(**values: object) -> Settings:
    """Return the settings of the environment; `values` take precedence. `SettingsError` names invalid variables."""
    try:
        return Settings(**values)  # pyright: ignore[reportCallIssue, reportArgumentType]  # filled from the environment
    except ValidationError as error:
        raise SettingsError("; ".join(_problem(problem) for problem in error.errors())) from error


def read_project(folder: Path | str | None = None) -> Path | None:
    """Return the folder, or else that of the environment. `SettingsError` if it has no tables."""
    try:
        return (ProjectSettings(bulk_project=str(folder)) if folder else ProjectSettings()).project
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
"""Expectations by pydantic's stable error types; its messages are for programmers."""


def sentence(problem: ErrorDetails) -> str:
    """Return the message for a pydantic error: the value, and what is expected."""
    context = problem.get("ctx", {})
    if problem["type"] in _EXPECTED:
        return f"{problem['input']!r} is wrong; expected {_EXPECTED[problem['type']].format(**context)}"
    return str(context.get("error", problem["msg"]))


def _problem(problem: ErrorDetails) -> str:
    """Return the message for an invalid variable, beginning with its name."""
    name = "".join(map(str, problem["loc"]))
    field = Settings.model_fields.get(name)
    if problem["type"] == "missing":
        expected = field.description if field and field.description else "a value"
        return f"{name.upper()} is not set; expected {expected}"
    return f"{name.upper()}: {sentence(problem)}" if name else sentence(problem)
