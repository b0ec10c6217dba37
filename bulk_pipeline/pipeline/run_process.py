"""Tells a run whose process died by itself from one that ended with the machine, its container or a deploy.

A file that kills the process that reads it, by a fault or for lack of memory, leaves the process that started the run
alive. A deploy, a restart or a power cut ends both.
"""

import os
import socket
from dataclasses import dataclass
from typing import Self

import psutil

_SAME_SECONDS = 2.0
"""Tolerance for start times, which psutil computes from the clock, and which change when the clock is set."""


@dataclass(frozen=True)
class RunProcess:
    """The process of a run and its parent on a host, each by number and start time."""

    host: str
    pid: int
    started_at: float
    parent_pid: int
    parent_started_at: float

    @classmethod
    def current(cls) -> Self:
        own = psutil.Process()
        parent = psutil.Process(os.getppid())
        return cls(socket.gethostname(), own.pid, own.create_time(), parent.pid, parent.create_time())

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the process from the text of `str`."""
        host, pid, started_at, parent_pid, parent_started_at = text.split()
        return cls(host, int(pid), float(started_at), int(parent_pid), float(parent_started_at))

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started_at} {self.parent_pid} {self.parent_started_at}"

    def died_alone(self) -> bool:
        """Return True if the process is gone but its parent is not; False on another host, which cannot know."""
        return (
            self.host == socket.gethostname()
            and _lives(self.parent_pid, self.parent_started_at)
            and not _lives(self.pid, self.started_at)
        )


def _lives(pid: int, started_at: float) -> bool:
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - started_at) < _SAME_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
