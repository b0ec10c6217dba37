"""Distributes tests to the workers of pytest-xdist: tests of one stack go to one worker, all others to any free one.

Tests are grouped by file instead of the mark `xdist_group`, which xdist 3.8 sets where pytest 9.2 does not read it.
"""

from contextlib import suppress

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_OWN_STACKS = ("bench", "compose_processes", "dagster_dev", "memory", "nightly", "plain_dagster", "project")
"""Tests of `acceptance` that start stacks of their own."""
_TOGETHER = (
    *(f"/acceptance/test_{name}.py::" for name in _OWN_STACKS),
    "/acceptance/",
    "/integration/test_stack.py::",
    "/faults/test_faults.py::",
    "/load/test_load.py::",
)


def needs_stack(nodeid: str) -> bool:
    """Return whether the test needs a running stack, and so takes long."""
    return any(place in nodeid for place in _TOGETHER)


class Shares(LoadScopeScheduling):
    """A scheduler that keeps the order in which groups were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in _TOGETHER if place in nodeid), nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker more tests. One that replaces another may still be collecting them; xdist asks again then."""
        if node in self.registered_collections:
            with suppress(OSError):  # the worker has died, too; `remove_node` takes back what it was given
                super()._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test that ended its worker, if one did; it has failed, and must not run again in another worker."""
        groups = self.assigned_work.pop(node)
        ended = next(
            (test for group in groups.values() for test, is_done in group.items() if not is_done), None
        )
        for name, group in groups.items():
            left = {test: is_done or test == ended for test, is_done in group.items()}
            if not all(left.values()):
                self.workqueue[name] = left
        for other in self.assigned_work:
            self._reschedule(other)
        return ended
