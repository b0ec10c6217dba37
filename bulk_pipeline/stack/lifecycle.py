"""`up` and `down`: start and stop a stack."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack import detached, home, leftovers, supervisor
from bulk_pipeline.stack.home import Home

DEFINITIONS = "bulk_pipeline.definitions"
_STOP_SECONDS = 100


def up(
    folder: Path,
    *,
    detach: bool = False,
    environ: Mapping[str, str] = os.environ,
    definitions: str = DEFINITIONS,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Start a stack in a folder, and call `on_ready` with the address of its UI once everything answers.

    Returns after Ctrl-C or SIGTERM, which stop the stack; with `detach`, when the stack is ready, and `down` stops it.
    If `environ` has DATABASE_URL or S3_ENDPOINT_URL, those servers are used.
    Raises `StackError` if the folder's stack is already running, or does not start.
    """
    place = home.at(folder)
    if not detach:
        supervisor.supervise(place, environ, definitions, on_ready)
        return
    home.make(place)
    with home.owned(place):
        pass  # fail at once if it is already running
    try:
        url = detached.launch(place, environ, definitions)
    except KeyboardInterrupt:
        down(folder)
        raise
    on_ready(url)


def down(folder: Path, *, purge: bool = False) -> bool:
    """Stop the stack of a folder, and processes that a killed one has left; `purge` also removes its data.

    Return, once no process is left, whether a stack was running.
    """
    place = home.at(folder)
    if not place.folder.exists():
        return False
    stopped = _stop_supervisor(place)
    with home.owned(place):
        supervisor.stop_leftovers(place)
        if purge:
            home.purge(place)
    return stopped


def _stop_supervisor(place: Home) -> bool:
    started = home.read(place).supervisor
    running = started.find() if started else None
    if not running:
        return False
    try:
        running.terminate()
        if leftovers.wait_gone([running], _STOP_SECONDS):
            running.kill()
            leftovers.wait_gone([running], 5)
    except psutil.AccessDenied as error:
        raise StackError(f"the stack in {place.folder} belongs to another user") from error
    return True
