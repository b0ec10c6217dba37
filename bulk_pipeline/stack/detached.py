"""A supervisor in a session of its own, for `up --detach`.

It says on a pipe, in one line of JSON, that the stack is ready or what is wrong, and closes it: on a full disk there
is no log to say it in.
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

from bulk_pipeline import traces
from bulk_pipeline.errors import BulkPipelineError, StackError
from bulk_pipeline.stack import home, supervisor
from bulk_pipeline.stack.failures import full_disk, not_started
from bulk_pipeline.stack.home import Home

_SECONDS = 240


def launch(place: Home, environ: Mapping[str, str], definitions: str) -> str:
    """Start a supervisor that outlives this process, and wait until its stack is ready: the UI's address."""
    home.make(place)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as answers, place.log("supervisor").open("ab") as log:
        log_start = log.tell()
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
        return _answer(place, answers.fileno(), log_start)


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
        details = error.details if isinstance(error, StackError) else ()
        _tell(descriptor, {"error": str(error), "details": details})
        sys.exit(1)
    except Exception as error:  # the pipe is closed without a word otherwise, and the log may be unwritable
        _tell(descriptor, {"error": _unexpected(error, home.at(folder)), "details": ()})
        raise


def _answer(place: Home, descriptor: int, log_start: int) -> str:
    readable, _, _ = select.select([descriptor], [], [], _SECONDS)
    line = b"".join(iter(lambda: os.read(descriptor, 1 << 16), b"")) if readable else b""
    if not line:
        raise not_started("the stack does not get ready", place.log("supervisor"), log_start)
    answer = json.loads(line)
    if "error" in answer:
        raise StackError(answer["error"], answer["details"])
    return answer["url"]


def _unexpected(error: Exception, place: Home) -> str:
    return f"the stack does not start: {full_disk(place.folder) or traces.summary(error)}"


def _tell(descriptor: int, answer: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError):  # nobody waits any more
        os.write(descriptor, json.dumps(answer).encode())
    os.close(descriptor)
