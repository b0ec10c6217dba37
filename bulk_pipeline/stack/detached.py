"""A supervisor in a session of its own, for `up --detach`.

It says on a pipe, in one line of JSON, that the stack is ready or what is wrong, and closes it.
"""

import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bulk_pipeline.errors import BulkPipelineError, StackError
from bulk_pipeline.stack import home, process, supervisor
from bulk_pipeline.stack.home import Home

_SECONDS = 240


def launch(place: Home, environ: Mapping[str, str], definitions: str) -> str:
    """Start a supervisor that outlives this process, and wait until its stack is ready: the UI's address."""
    home.make(place)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as answers, place.log("supervisor").open("ab") as log:
        with os.fdopen(writing, "wb"):
            subprocess.run(
                [sys.executable, "-m", "bulk_pipeline.stack", str(place.folder), definitions, str(writing)],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                check=True,
            )
        return _answer(place, answers.fileno())


def run(folder: Path, definitions: str, descriptor: int) -> None:
    """What the new process does: leave the terminal and its parent, supervise, answer on the pipe."""
    os.setsid()
    if os.fork():
        os._exit(0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        supervisor.supervise(
            home.at(folder), os.environ, definitions, lambda url: _tell(descriptor, {"url": url})
        )
    except BulkPipelineError as error:
        _tell(descriptor, {"error": str(error)})
        sys.exit(1)


def _answer(place: Home, descriptor: int) -> str:
    readable, _, _ = select.select([descriptor], [], [], _SECONDS)
    line = os.read(descriptor, 1 << 16) if readable else b""
    if not line:
        raise StackError(f"the stack does not get ready\n{process.tail(place.log('supervisor'))}")
    answer = json.loads(line)
    if "error" in answer:
        raise StackError(answer["error"])
    return answer["url"]


def _tell(descriptor: int, answer: dict[str, str]) -> None:
    with suppress(BrokenPipeError):  # nobody waits any more
        os.write(descriptor, json.dumps(answer).encode())
    os.close(descriptor)
