"""The running services of one stack. Services that die are restarted, after a growing pause."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack import process
from bulk_pipeline.stack.home import Started
from bulk_pipeline.stack.process import Child, Service

_LONGEST_PAUSE_SECONDS = 30
_STABLE_SECONDS = 60

_log = logging.getLogger(__name__)


@dataclass
class _Watched:
    child: Child
    started: float
    restarts: int = 0
    failures: int = 0
    """Deaths in a row, each after less than `_STABLE_SECONDS`."""
    retry_at: float | None = None


@dataclass
class Children:
    """Services by name. Times are those of `time.monotonic()`."""

    _watched: dict[str, _Watched] = field(default_factory=dict)

    def start(self, service: Service) -> Child:
        child = process.start(service)
        self._watched[service.name] = _Watched(child, time.monotonic())
        return child

    def __getitem__(self, name: str) -> Child:
        return self._watched[name].child

    def dead(self) -> list[Child]:
        return [watched.child for watched in self._watched.values() if not watched.child.alive]

    def revive(self, now: float) -> bool:
        """Restart dead services whose pause is over. Return whether there were any."""
        return sum(self._revive(watched, now) for watched in self._watched.values()) > 0

    def started(self) -> dict[str, Started]:
        return {
            name: Started.of(watched.child.process.pid, watched.restarts)
            for name, watched in self._watched.items()
        }

    def stop(self, names: Iterable[str]) -> None:
        """Stop the services with these names that are running, all at the same time."""
        process.stop(self._watched.pop(name).child for name in list(names) if name in self._watched)

    def _revive(self, watched: _Watched, now: float) -> bool:
        if watched.child.alive:
            return False
        service = watched.child.service
        if watched.retry_at is None:
            watched.failures = 0 if now - watched.started > _STABLE_SECONDS else watched.failures + 1
            pause = _pause(watched.failures)
            watched.retry_at = now + pause
            code = watched.child.process.returncode
            _log.warning("%s stopped with exit code %s, restarting in %g s", service.name, code, pause)
        if now < watched.retry_at or not service.may_restart():
            return False
        watched.retry_at, watched.started = None, now
        # Runs of a dead code server continue, protected by their leases, and stop with the stack.
        try:
            watched.child = process.start(service)
        except StackError:
            _log.exception("%s could not be restarted", service.name)
            return False
        watched.restarts += 1
        return True


def _pause(failures: int) -> float:
    """Return the seconds to wait after this many deaths in a row; 0 after the first."""
    return 0 if failures <= 1 else min(2.0 ** (failures - 2), _LONGEST_PAUSE_SECONDS)
