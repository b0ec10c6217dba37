"""`python -m bulk_pipeline.orchestration.launch.daemon run`: Dagster's daemon, which does not wait when there is work.

Dagster (1.13.27) starts ticks of sensors every 5 s: a sensor whose tick has ended, as it does to request a run, watches
nothing until then. It launches submitted runs every second. Here the end of a tick starts the next round of ticks, and
the submission of a run starts the next round of launches. A tick that failed is repeated as late as before.
"""

import runpy
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Timer
from typing import Any, Self

from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon.daemon import SensorDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from bulk_pipeline.settings import DagsterChange, LaunchSettings

_QUEUE_SECONDS = 1.0
_SENSORS_SECONDS = 5.0
_TICK_SECONDS = 1.2
"""Somewhat more than the minimum interval of a sensor: a round before that would not start its next tick."""
_AGAIN_SECONDS = 1.0
"""Until the round after the one that a tick's end started, in which its sensor's next tick may have been too early."""
_LOOK_SECONDS = 0.5
_NO_INTERVAL = 0.01


class Alarm:
    """Replaces the event for which the loop of a daemon waits between two rounds.

    A wait ends after `seconds`, when the alarm rings, or soon after the daemon's end. The wait after a ring ends after
    `again_seconds`.
    """

    def __init__(self, seconds: float, again_seconds: float) -> None:
        self._seconds = seconds
        self._again_seconds = again_seconds
        self._bell = Event()
        self._end = Event()
        self._has_rung = False

    def ring(self) -> None:
        self._bell.set()

    def until(self, end: Event) -> Self:
        """Return the alarm, whose waits end with this event too."""
        self._end = end
        return self

    def wait(self, _timeout: float | None = None) -> bool:
        """Wait; the loop's own timeout does not count. Return True at the daemon's end."""
        until = time.monotonic() + (self._again_seconds if self._has_rung else self._seconds)
        self._has_rung = False
        while not self._has_rung and not self._end.is_set() and (left := until - time.monotonic()) > 0:
            self._has_rung = self._bell.wait(min(left, _LOOK_SECONDS))
        self._bell.clear()
        return self._end.is_set()


def main() -> None:
    if LaunchSettings().changes(DagsterChange.PROMPT_DAEMON):
        launch_after_submission(Alarm(_QUEUE_SECONDS, _QUEUE_SECONDS))
        tick_after_tick(Alarm(_SENSORS_SECONDS, _AGAIN_SECONDS))
    runpy.run_module("dagster._daemon", run_name="__main__", alter_sys=True)


def launch_after_submission(alarm: Alarm) -> None:
    """Let the submission of a run in this process start the next round of launches."""
    submit_run = QueuedRunCoordinator.submit_run

    def submit(self: QueuedRunCoordinator[Any], context: Any) -> Any:  # Dagster's context and run
        run = submit_run(self, context)
        alarm.ring()
        return run

    QueuedRunCoordinator.submit_run = submit
    QueuedRunCoordinatorDaemon.core_loop = _waiting_for(alarm, QueuedRunCoordinatorDaemon.core_loop)
    interval = property(lambda _: _NO_INTERVAL)  # the alarm has it
    setattr(QueuedRunCoordinator, "dequeue_interval_seconds", interval)  # noqa: B010 - a property without a setter


def tick_after_tick(alarm: Alarm) -> None:
    """Let the end of a tick start the next round of ticks, unless it failed."""
    create = SensorDaemon.__init__

    def create_daemon(self: SensorDaemon, settings: Any) -> None:  # Dagster's settings of sensors
        create(self, settings)
        if (executor := self._threadpool_executor) is not None:
            submit = executor.submit

            def submit_tick(*args: Any, **kwargs: Any) -> Future[list[Any]]:  # of the errors of the tick
                tick, earliest = submit(*args, **kwargs), time.monotonic() + _TICK_SECONDS
                tick.add_done_callback(lambda tick: None if _has_failed(tick) else _ring_at(earliest, alarm))
                return tick

            executor.submit = submit_tick

    SensorDaemon.__init__ = create_daemon
    SensorDaemon.core_loop = _waiting_for(alarm, SensorDaemon.core_loop)


def _has_failed(tick: Future[list[Any]]) -> bool:
    return tick.cancelled() or tick.exception() is not None or any(tick.result())


def _ring_at(moment: float, alarm: Alarm) -> None:
    """Ring at a moment, at once if it is over."""
    if (seconds := moment - time.monotonic()) <= 0:
        alarm.ring()
        return
    timer = Timer(seconds, alarm.ring)
    timer.daemon = True
    timer.start()


def _waiting_for(alarm: Alarm, core_loop: Callable[..., Any]) -> Callable[..., Any]:
    """Return a daemon's loop that waits for an alarm as well as for the daemon's end."""
    return lambda self, workspace, shutdown_event: core_loop(self, workspace, alarm.until(shutdown_event))


if __name__ == "__main__":
    main()
