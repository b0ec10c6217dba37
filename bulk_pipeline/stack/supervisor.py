"""The supervisor of a stack: start its processes in order, restart those that die, and stop all at the end."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Never

from bulk_pipeline.stack import home, leftovers, objects, postgres, startup
from bulk_pipeline.stack import plan as plans
from bulk_pipeline.stack.children import Children
from bulk_pipeline.stack.home import Home, Record, Started
from bulk_pipeline.stack.plan import Plan

_WATCH_SECONDS = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger(__name__)


class _Stopped(BaseException):
    """Raised by a signal. Not an `Exception`, so that no handler in between swallows it."""


def supervise(
    place: Home, environ: Mapping[str, str], definitions: str, on_ready: Callable[[str], None]
) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP. Call it in the main thread.

    `on_ready` gets the address of the UI once everything answers. Raises `StackError`, with nothing left running, if
    the home is in use or a part does not start.
    """
    home.make(place)
    with home.owned(place), _signals_raise():
        stop_leftovers(place)
        plan = plans.make(place, home.read(place), environ, definitions)
        children = Children()
        try:
            _write(plan, children, ready=False)
            startup.start(plan, environ, children)
            _write(plan, children, ready=True)
            on_ready(plan.dagster.url)
            _watch(plan, children)
        except _Stopped:
            _log.info("stopping")
        finally:
            _ignore_signals()
            _stop(plan, children)


def stop_leftovers(place: Home) -> None:
    """Stop processes that a killed supervisor has left, Postgres last."""
    _stop_runs(place)
    objects.stop_leftovers(place.objects)
    postgres.stop_leftovers(place.postgres)


def _watch(plan: Plan, children: Children) -> Never:
    while True:
        time.sleep(_WATCH_SECONDS)
        if children.revive(time.monotonic()):
            _write(plan, children, ready=True)


def _stop(plan: Plan, children: Children) -> None:
    """Stop all processes, first those that need the servers."""
    children.stop(["api", *startup.DAGSTER])
    _stop_runs(plan.home)
    children.stop(["objects"])
    children.stop(["postgres"])
    home.write(plan.home, plan.record)


def _stop_runs(place: Home) -> None:
    """Stop Dagster's processes that have lost their parent; they are found by their mark."""
    leftovers.terminate(leftovers.marked(plans.MARK, str(place.folder)), seconds=3)


def _write(plan: Plan, children: Children, ready: bool) -> None:
    running = {"supervisor": Started.of(os.getpid()), "services": children.started(), "ready": ready}
    home.write(plan.home, Record.model_validate({**dict(plan.record), **running}))


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
    """Ignore further signals, so that they do not interrupt the stop, which takes seconds."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
