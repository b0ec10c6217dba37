"""Own a home: start the stack's processes in order, watch them, and stop all of them in the end."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Never

from bulk_pipeline.stack import home, leftovers, objects, plan, postgres, startup
from bulk_pipeline.stack.children import Children
from bulk_pipeline.stack.home import Home, Record, Started
from bulk_pipeline.stack.plan import Plan

_WATCH_SECONDS = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger(__name__)


class _Stopped(BaseException):
    """A signal asked for the end. Not an `Exception`, so that nothing on the way swallows it."""


def supervise(
    place: Home, environ: Mapping[str, str], definitions: str, on_ready: Callable[[str], None]
) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; to be called in the main thread.

    `on_ready` gets the address of the UI once everything answers. `StackError` when the home is in use or
    something does not start; nothing is left running then.
    """
    home.make(place)
    with home.owned(place), _signals_raise():
        stop_leftovers(place)
        made = plan.make(place, home.read(place), environ, definitions)
        children = Children()
        try:
            _write(made, children, ready=False)
            startup.start(made, environ, children)
            _write(made, children, ready=True)
            on_ready(made.dagster.url)
            _watch(made, children)
        except _Stopped:
            _log.info("stopping")
        finally:
            _ignore_signals()
            _stop(made, children)


def stop_leftovers(place: Home) -> None:
    """Stop what an owner who was killed has left running, Postgres last."""
    _stop_runs(place)
    objects.stop_leftovers(place.objects)
    postgres.stop_leftovers(place.postgres)


def _watch(made: Plan, children: Children) -> Never:
    while True:
        time.sleep(_WATCH_SECONDS)
        if children.revive(time.monotonic()):
            _write(made, children, ready=True)


def _stop(made: Plan, children: Children) -> None:
    """Whoever needs the servers first."""
    children.stop(["api", *startup.DAGSTER])
    _stop_runs(made.home)
    children.stop(["objects"])
    children.stop(["postgres"])
    home.write(made.home, made.record)


def _stop_runs(place: Home) -> None:
    """Dagster's processes that are nobody's children any more are found by their mark."""
    leftovers.terminate(leftovers.marked(plan.MARK, str(place.folder)), seconds=3)


def _write(made: Plan, children: Children, ready: bool) -> None:
    running = {"supervisor": Started.of(os.getpid()), "services": children.started(), "ready": ready}
    home.write(made.home, Record.model_validate({**dict(made.record), **running}))


@contextmanager
def _signals_raise() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Stopping takes seconds, and goes on to its end however often it is asked for."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
