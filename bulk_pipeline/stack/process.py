"""Child processes: start one with its log, wait until it answers, stop it.

Every child leads a process group of its own: a Ctrl-C in the terminal reaches only the owner, and what a
child starts (Dagster's runs) is stopped with it. On Linux a child is told to stop when its owner is killed.
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
    """How to start one process, to know that it answers, and to stop it."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    answers: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    """What must be done before every start."""
    may_restart: Callable[[], bool] = lambda: True
    """Whether what it needs is there; after its death it is not started before that."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    account: Account | None = None


@dataclass(frozen=True)
class Child:
    """A started service."""

    service: Service
    process: subprocess.Popen[bytes] = field(repr=False)
    log_start: int = 0
    """How long the log was before."""

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def start(service: Service) -> Child:
    """Start the process; it is not waited for. Raises `StackError` when it cannot even be started."""
    service.prepare()
    account = service.account
    with service.log.open("ab") as log, warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads; the child only makes one system call before it execs.
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
    """Return when the service answers. `StackError`, with the log's end, when it exits or takes too long."""
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
    """Run the service, answering, for as long as the block."""
    child = start(service)
    try:
        wait(child, seconds)
        yield child
    finally:
        stop([child])


def stop(children: Iterable[Child]) -> None:
    """Stop all of them at the same time, each with whatever it started; return when they are gone."""
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
    """The error for a process that should run."""
    name, code = child.service.name, child.process.returncode
    return not_started(f"{name} stopped with exit code {code}", child.service.log, child.log_start)


def _stop_with_owner(stop_signal: signal.Signals) -> None:
    if _PRCTL:
        _PRCTL(_PR_SET_PDEATHSIG, int(stop_signal))


def _signal_group(child: Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)
