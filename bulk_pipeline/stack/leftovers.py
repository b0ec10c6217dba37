"""Processes left by a supervisor that was killed: find them, stop them, wait for their end."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_POLL_SECONDS = 0.03


def marked(variable: str, value: str) -> list[psutil.Process]:
    """Return the processes that have this value of the environment variable, also grandchildren."""
    return [process for process in psutil.process_iter() if _environment(process).get(variable) == value]


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """Return the processes of that name whose working directory is the folder.

    For Postgres and JuiceFS, which overwrite their environment.
    """
    return [
        process
        for process in psutil.process_iter()
        if _named(process, name) and _working_directory(process) == str(folder)
    ]


def terminate(processes: Iterable[psutil.Process], seconds: float = 5) -> None:
    """Terminate the processes, and kill those that still run after `seconds`."""
    running = list(processes)
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in wait_gone(running, seconds):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_gone(running, seconds)


def wait_gone(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the processes to end. Return those that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    while waiting := [process for process in waiting if is_running(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return waiting


def is_running(process: psutil.Process) -> bool:
    """Return whether the process runs. A zombie does not; an orphan may stay one until init reaps it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ()
    return {}


def _named(process: psutil.Process, name: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() == name
    return False


def _working_directory(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        return process.cwd()
    return ""
