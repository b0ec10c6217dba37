"""The state of a stack, checked at the servers themselves and not only read from its record."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.postgres import admin
from bulk_pipeline.s3.buckets import buckets_by_use, s3_answers
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import api, home, startup
from bulk_pipeline.stack.health import dagster_health
from bulk_pipeline.stack.home import Record

_OWN = ("api", *startup.DAGSTER)
"""Services that the stack always runs itself. If one does not run, another program may answer at its address."""


@dataclass(frozen=True)
class S3Status:
    """Address and keys of the object store. `buckets`: purpose → name."""

    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None = field(repr=False)
    buckets: dict[str, str]


@dataclass(frozen=True)
class ServiceStatus:
    """One part of the stack. `pid` is None for an external server, and for one that does not run."""

    name: str
    healthy: bool
    problem: str | None = None
    pid: int | None = None
    restarts: int = 0


@dataclass(frozen=True)
class StackStatus:
    """`healthy`: Postgres, S3, the API and the webserver answer, the code is loaded, the daemon sends heartbeats."""

    home: str
    healthy: bool
    up: bool
    """True if a supervisor is running."""
    dagster_url: str | None
    api_url: str | None
    database_url: str | None = field(repr=False)
    s3: S3Status
    services: tuple[ServiceStatus, ...]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def status(folder: Path) -> StackStatus:
    """Return the state of the stack in a folder, which need not exist. Servers are contacted only if it is running."""
    place = home.at(folder)
    record = home.read(place)
    up = home.is_up(record)
    facts = record.environment if up else {}
    services = _services(record) if facts else ()
    buckets = buckets_by_use(_settings(facts)) if facts else {}
    return StackStatus(
        home=str(place.folder),
        healthy=bool(services) and all(service.healthy for service in services),
        up=up,
        dagster_url=facts.get("DAGSTER_URL"),
        api_url=facts.get("API_URL"),
        database_url=facts.get("DATABASE_URL"),
        s3=S3Status(
            facts.get("S3_ENDPOINT_URL"), facts.get("S3_ACCESS_KEY"), facts.get("S3_SECRET_KEY"), buckets
        ),
        services=services,
    )


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables for a client of the stack. Raises `StackError` if it is not running."""
    place = home.at(folder)
    record = home.read(place)
    if not (home.is_up(record) and record.ready):
        raise StackError(
            f"no stack is running in {place.folder}; start one with: bulk-pipeline up --home {folder}, "
            "or change to the folder of the project"
        )
    return dict(record.environment)


def _settings(environment: dict[str, str]) -> Settings:
    fields = {name.lower(): value for name, value in environment.items()}
    return Settings.model_validate(fields)


def _services(record: Record) -> tuple[ServiceStatus, ...]:
    facts = record.environment
    problems = {
        "postgres": None if admin.postgres_answers(facts["DATABASE_URL"]) else "does not answer",
        "objects": None if s3_answers(_settings(facts)) else "does not answer",
        "api": None if api.answers(facts.get("API_URL")) else "does not answer",
        **_dagster_problems(record),
    }
    return tuple(_service(record, name, problem) for name, problem in problems.items())


def _dagster_problems(record: Record) -> dict[str, str | None]:
    daemon = record.services.get("daemon")
    if not daemon:
        return dict.fromkeys(startup.DAGSTER, "is not running")
    health = dagster_health(record.environment["DAGSTER_URL"], daemon.started_at)
    return {"webserver": health.webserver, "code_server": health.code_server, "daemon": health.daemon}


def _service(record: Record, name: str, problem: str | None) -> ServiceStatus:
    started = record.services.get(name)
    process = started.find() if started else None
    if not process and (started or name in _OWN):
        problem = "is not running"
    return ServiceStatus(
        name, problem is None, problem, process.pid if process else None, started.restarts if started else 0
    )
