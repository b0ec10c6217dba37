"""The loops of the daemon wait until there is work, or until their time is over."""

from collections.abc import Sequence
from threading import Event
from types import SimpleNamespace

import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon.daemon import SensorDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from bulk_pipeline.orchestration.launch import daemon as daemon_module
from bulk_pipeline.orchestration.launch.daemon import Alarm, launch_after_submission, tick_after_tick

NEVER_SECONDS = 3600.0


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Alarm:
    """Return an alarm that only a ring or the daemon's end stops; Dagster's classes are restored after the test."""
    for owner in (SensorDaemon, QueuedRunCoordinatorDaemon):
        monkeypatch.setattr(owner, "core_loop", owner.core_loop)
    monkeypatch.setattr(SensorDaemon, "__init__", SensorDaemon.__init__)
    monkeypatch.setattr(QueuedRunCoordinator, "submit_run", QueuedRunCoordinator.submit_run)
    interval = vars(QueuedRunCoordinator)["dequeue_interval_seconds"]
    monkeypatch.setattr(QueuedRunCoordinator, "dequeue_interval_seconds", interval)
    return Alarm(NEVER_SECONDS, NEVER_SECONDS)


def test_a_wait_ends_with_a_ring_also_with_one_before_it(alarm: Alarm) -> None:
    alarm.ring()
    assert not alarm.wait(NEVER_SECONDS)


def test_a_wait_ends_with_the_daemon(alarm: Alarm) -> None:
    end = Event()
    end.set()
    assert alarm.until(end).wait(NEVER_SECONDS)


def test_the_wait_after_a_ring_is_short() -> None:
    """A tick that ended within a sensor's minimum interval lets the round that it starts pass."""
    alarm = Alarm(NEVER_SECONDS, 0)
    alarm.ring()
    alarm.wait()
    assert not alarm.wait()


@pytest.mark.parametrize(("errors", "rings"), [([None], True), ([None, "outage"], False)])
def test_the_end_of_a_tick_rings_unless_it_failed(
    alarm: Alarm, monkeypatch: pytest.MonkeyPatch, errors: Sequence[object], rings: bool
) -> None:
    monkeypatch.setattr(daemon_module, "_TICK_SECONDS", 0)
    tick_after_tick(alarm)
    with SensorDaemon({"use_threads": True, "num_workers": 1}) as daemon:
        executor = daemon._threadpool_executor
        assert executor is not None
        executor.submit(list, errors)
    assert alarm._bell.is_set() == rings


def test_a_short_tick_rings_when_its_sensor_may_tick_again(
    alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[tuple[float, object]] = []
    monkeypatch.setattr(
        daemon_module, "Timer", lambda *started: timers.append(started) or SimpleNamespace(start=int)
    )
    tick_after_tick(alarm)
    with SensorDaemon({"use_threads": True, "num_workers": 1}) as daemon:
        executor = daemon._threadpool_executor
        assert executor is not None
        executor.submit(list, [None])
    ((seconds, ring),) = timers
    assert (seconds <= daemon_module._TICK_SECONDS, ring) == (True, alarm.ring)
    assert not alarm._bell.is_set()


def test_a_submitted_run_rings_when_it_is_in_the_queue(alarm: Alarm, monkeypatch: pytest.MonkeyPatch) -> None:
    rung_before = []
    monkeypatch.setattr(
        QueuedRunCoordinator, "submit_run", lambda *_: rung_before.append(alarm._bell.is_set())
    )
    launch_after_submission(alarm)
    QueuedRunCoordinator().submit_run(None)  # type: ignore[arg-type]  # a context that nothing reads
    assert (rung_before, alarm._bell.is_set()) == ([False], True)
