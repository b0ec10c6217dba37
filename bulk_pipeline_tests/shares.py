"""How pytest-xdist shares the tests out: those that need one stack go to one worker, all others to whoever is free.

By their files, not by the mark `xdist_group`, which xdist 3.8 writes where pytest 9.2 does not read it.
"""

from xdist.scheduler import LoadScopeScheduling

_TOGETHER = ("/acceptance/", "/integration/test_stack.py::", "/faults/test_faults.py::")


class Shares(LoadScopeScheduling):
    """The larger the group, the earlier it begins."""

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in _TOGETHER if place in nodeid), nodeid)
