"""What a stack is and how it does: asked of the servers themselves, not only of what the home remembers."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import api, home, startup
from bulk_pipeline.stack.health import dagster_health
from bulk_pipeline.stack.home import Record
from bulk_pipeline.stores import servers

_OWN = ("api", *startup.DAGSTER)
"""What the stack always runs itself. At the address of one that does not run, another program may answer."""


@dataclass(frozen=True)
class S3Status:
    """How to reach the object store, and its buckets: what each is for → its name."""

    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None = field(repr=False)
    buckets: dict[str, str]


@dataclass(frozen=True)
class ServiceStatus:
    """One part of the stack. `pid` is None for a server that is not ours, and for one that does not run."""

    name: str
    healthy: bool
    problem: str | None = None
    pid: int | None = None
    restarts: int = 0


@dataclass(frozen=True)
class StackStatus:
    """`healthy`: Postgres, S3, the API and the webserver answer, the code is loaded, the daemon is alive."""

    home: str
    healthy: bool
    up: bool
    """Whether a supervisor owns the home."""
    dagster_url: str | None
    api_url: str | None
    database_url: str | None = field(repr=False)
    s3: S3Status
    services: tuple[ServiceStatus, ...]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def status(folder: Path) -> StackStatus:
    """The state of the stack in a folder, which need not be up nor exist. Nothing is reached where no stack is up."""
    place = home.at(folder)
    record = home.read(place)
    up = home.is_up(record)
    known = record.environment if up else {}
    services = _services(record) if known else ()
    buckets = servers.buckets(_settings(known)) if known else {}
    return StackStatus(
        home=str(place.folder),
        healthy=bool(services) and all(service.healthy for service in services),
        up=up,
        dagster_url=known.get("DAGSTER_URL"),
        api_url=known.get("API_URL"),
        database_url=known.get("DATABASE_URL"),
        s3=S3Status(
            known.get("S3_ENDPOINT_URL"), known.get("S3_ACCESS_KEY"), known.get("S3_SECRET_KEY"), buckets
        ),
        services=services,
    )


def environment(folder: Path) -> dict[str, str]:
    """The environment variables of a client of the stack. `StackError` if it is not up."""
    place = home.at(folder)
    record = home.read(place)
    if not (home.is_up(record) and record.ready):
        raise StackError(
            f"no stack is up in {place.folder}; start one with: bulk-pipeline up --home {folder}"
        )
    return dict(record.environment)


def _settings(known: dict[str, str]) -> Settings:
    fields = {name.lower(): value for name, value in known.items()}
    return Settings.model_validate(fields)


def _services(record: Record) -> tuple[ServiceStatus, ...]:
    known = record.environment
    problems = {
        "postgres": None if servers.postgres_answers(known["DATABASE_URL"]) else "does not answer",
        "objects": None if servers.s3_answers(_settings(known)) else "does not answer",
        "api": None if api.answers(known.get("API_URL")) else "does not answer",
        **_dagster_problems(record),
    }
    return tuple(_service(record, name, problem) for name, problem in problems.items())


def _dagster_problems(record: Record) -> dict[str, str | None]:
    daemon = record.services.get("daemon")
    if not daemon:
        return dict.fromkeys(startup.DAGSTER, "does not run")
    found = dagster_health(record.environment["DAGSTER_URL"], daemon.started_at)
    return {"webserver": found.webserver, "code_server": found.code_server, "daemon": found.daemon}


def _service(record: Record, name: str, problem: str | None) -> ServiceStatus:
    started = record.services.get(name)
    process = started.find() if started else None
    if not process and (started or name in _OWN):
        problem = "does not run"
    return ServiceStatus(
        name, problem is None, problem, process.pid if process else None, started.restarts if started else 0
    )
