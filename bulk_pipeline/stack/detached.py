"""A supervisor in a separate session, for `up --detach`.

It writes one line of JSON to a pipe, that the stack is ready or what is wrong, and closes it. On a full disk it could
not write that to a log.
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
    """Start a supervisor that outlives this process. Return the UI's address once its stack is ready."""
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
    """Run in the new process: detach from the terminal and the parent, supervise, answer on the pipe."""
    os.setsid()
    if os.fork():
        os._exit(0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        supervisor.supervise(
            home.at(folder), os.environ, definitions, lambda url: _send(descriptor, {"url": url})
        )
    except BulkPipelineError as error:
        details = error.details if isinstance(error, StackError) else ()
        _send(descriptor, {"error": str(error), "details": details})
        sys.exit(1)
    except Exception as error:  # otherwise the pipe would be closed without an answer
        _send(descriptor, {"error": _unexpected(error, home.at(folder)), "details": ()})
        raise


def _answer(place: Home, descriptor: int, log_start: int) -> str:
    readable, _, _ = select.select([descriptor], [], [], _SECONDS)
    line = b"".join(iter(lambda: os.read(descriptor, 1 << 16), b"")) if readable else b""
    if not line:
        raise not_started("the stack did not become ready", place.log("supervisor"), log_start)
    answer = json.loads(line)
    if "error" in answer:
        raise StackError(answer["error"], answer["details"])
    return answer["url"]


def _unexpected(error: Exception, place: Home) -> str:
    return f"the stack did not start: {full_disk(place.folder) or traces.summary(error)}"


def _send(descriptor: int, answer: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError):  # the parent has stopped waiting
        os.write(descriptor, json.dumps(answer).encode())
    os.close(descriptor)
