"""The folder of a stack: its layout, its record (stack.json), and its lock, held by the supervisor."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack import postgres
from bulk_pipeline.stack.account import unprivileged
from bulk_pipeline.stack.leftovers import is_running

_DYING_SECONDS = 3


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Started(Frozen):
    """A process, identified by its number and the time at which it was started."""

    pid: int
    started_at: float
    restarts: int = 0

    @classmethod
    def of(cls, pid: int, restarts: int = 0) -> "Started":
        try:
            return cls(pid=pid, started_at=psutil.Process(pid).create_time(), restarts=restarts)
        except psutil.NoSuchProcess:
            return cls(pid=pid, started_at=0, restarts=restarts)

    def find(self) -> psutil.Process | None:
        """Return the process, None if it has ended."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if process.create_time() == self.started_at and is_running(process):
                return process
        return None


class Record(Frozen):
    """The record of a stack: secrets and ports from one `up` to the next, processes while it is up."""

    secrets: dict[str, str] = Field(default={}, repr=False)
    ports: dict[str, int] = {}
    environment: dict[str, str] = Field(default={}, repr=False)
    """Connection facts, as environment variables."""
    supervisor: Started | None = None
    services: dict[str, Started] = {}
    ready: bool = False


@dataclass(frozen=True)
class Home:
    """The layout of a stack's folder."""

    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    @property
    def dagster(self) -> Path:
        return self.folder / "dagster"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def log(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    @property
    def record(self) -> Path:
        return self.folder / "stack.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"


def at(folder: Path) -> Home:
    return Home(folder.expanduser().resolve())


def make(home: Home) -> None:
    """Create the folders. If root owns the stack, `nobody`, who runs Postgres, may enter the outer one only.

    Raises `StackError` if they cannot be created.
    """
    try:
        if not home.folder.exists():
            home.folder.mkdir(parents=True)
            home.folder.chmod(0o711 if unprivileged() else 0o700)
        for folder in (home.dagster, home.work, home.logs):
            folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        reason = error.strerror or error
        raise StackError(
            f"cannot use {home.folder} for a stack: {reason}; choose another folder with --home"
        ) from error


def read(home: Home) -> Record:
    """Return the record, an empty one if the folder never had a stack."""
    if not home.record.exists():
        return Record()
    return Record.model_validate_json(home.record.read_bytes())


def write(home: Home, record: Record) -> None:
    """Replace the record atomically, readable only by its owner."""
    fresh = home.record.with_suffix(".new")
    try:
        fresh.touch(mode=0o600)
        fresh.write_text(record.model_dump_json(indent=2))
        fresh.rename(home.record)
    except OSError as error:
        raise StackError(f"cannot write {home.record}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def owned(home: Home) -> Iterator[None]:
    """Hold the lock of the home during the block. Raises `StackError` if another process holds it."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(home, descriptor)
        yield
    finally:
        os.close(descriptor)


def is_up(record: Record) -> bool:
    """Return whether a supervisor is running."""
    return record.supervisor is not None and record.supervisor.find() is not None


def purge(home: Home) -> None:
    """Remove all files of the stack, and the folder itself if it has no others."""
    postgres.remove_folder(home.postgres)
    for folder in (home.objects, home.dagster, home.work, home.logs):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (home.record, home.lock):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.folder.rmdir()


def _lock(home: Home, descriptor: int) -> None:
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            record = read(home)
            # A killed owner holds the lock a moment longer than it is listed among the processes.
            if is_up(record) or time.monotonic() > deadline:
                url = record.environment.get("DAGSTER_URL", "an address it has not chosen yet")
                raise StackError(f"the stack in {home.folder} is already up; its UI is at {url}") from error
        time.sleep(0.05)
