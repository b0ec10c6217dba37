"""Child processes: start one with its log, wait until it answers, stop it.

Every child leads its own process group: Ctrl-C in the terminal reaches only the owner, and processes of the child
(Dagster's runs) are stopped with it. On Linux a child gets its stop signal when its owner is killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack.account import Account
from bulk_pipeline.stack.failures import not_started

POLL_SECONDS = 0.03
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Service:
    """A process to run: its command, the check that it answers, and how to stop it."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    answers: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    """Called before every start."""
    may_restart: Callable[[], bool] = lambda: True
    """Return whether its dependencies are up; it is not restarted before that."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    account: Account | None = None


@dataclass(frozen=True)
class Child:
    """A started service."""

    service: Service
    process: subprocess.Popen[bytes] = field(repr=False)
    log_start: int = 0
    """Size of the log before the start, in bytes."""

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def start(service: Service) -> Child:
    """Start the process without waiting for it. Raises `StackError` if it cannot be started."""
    service.prepare()
    account = service.account
    with service.log.open("ab") as log, warnings.catch_warnings():
        # Python 3.12 warns of a fork with threads; the child makes one system call before exec.
        warnings.simplefilter("ignore", DeprecationWarning)
        log_start = log.tell()
        try:
            process = subprocess.Popen(
                service.command,
                cwd=service.folder,
                env=dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=partial(_stop_with_owner, service.stop_signal),
            )
        except OSError as error:
            raise StackError(f"{service.name} cannot be started: {error}") from error
    return Child(service, process, log_start)


def wait(child: Child, seconds: float) -> None:
    """Return when the service answers. Raises `StackError`, with the end of the log, if it exits or takes too long."""
    service, deadline = child.service, time.monotonic() + seconds
    while not service.answers():
        if not child.alive:
            raise exited(child)
        if time.monotonic() > deadline:
            raise not_started(
                f"{service.name} does not answer after {seconds:g} s", service.log, child.log_start
            )
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def running(service: Service, seconds: float = 60) -> Iterator[Child]:
    """Run the service during the block, which begins when it answers."""
    child = start(service)
    try:
        wait(child, seconds)
        yield child
    finally:
        stop([child])


def stop(children: Iterable[Child]) -> None:
    """Stop all children at the same time, with their own children; return when they have ended."""
    stopping = list(children)
    for child in stopping:
        _signal_group(child, child.service.stop_signal)
    started = time.monotonic()
    for child in stopping:
        left = child.service.stop_seconds - (time.monotonic() - started)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=max(left, 0))
        _signal_group(child, signal.SIGKILL)
        child.process.wait()


def exited(child: Child) -> StackError:
    """Return the error for a process that has ended and should run."""
    name, code = child.service.name, child.process.returncode
    return not_started(f"{name} stopped with exit code {code}", child.service.log, child.log_start)


def _stop_with_owner(stop_signal: signal.Signals) -> None:
    if _PRCTL:
        _PRCTL(_PR_SET_PDEATHSIG, int(stop_signal))


def _signal_group(child: Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)
