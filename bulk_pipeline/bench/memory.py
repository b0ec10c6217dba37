"""Peak memory of runs or of a service, sampled during a measurement."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil

_SAMPLE_SECONDS = 0.05
_SEARCH_SECONDS = 0.5
"""Interval of searching for processes: reading all processes of the machine is too slow for each sample."""
_FORK_SERVER = "multiprocessing.forkserver"
"""In the command line of the process from which runs are forked; see `orchestration.launch.code_server`."""


@dataclass(frozen=True)
class Peak:
    """Most memory that the processes held together. `private_bytes`: without pages of files and shared ones."""

    rss_bytes: int = 0
    private_bytes: int = 0

    def joined(self, other: "Peak") -> "Peak":
        return Peak(max(self.rss_bytes, other.rss_bytes), max(self.private_bytes, other.private_bytes))


class Watch:
    """`peak` is final once the block of `watching` has ended."""

    def __init__(self) -> None:
        self.peak = Peak()


def watching(code_server: psutil.Process) -> AbstractContextManager[Watch]:
    """Watch the runs that start meanwhile, with their children."""
    return _watching(lambda: run_processes(code_server))


def watching_service(process: psutil.Process) -> AbstractContextManager[Watch]:
    """Watch one process."""
    return _watching(lambda: [process])


@contextlib.contextmanager
def _watching(find: Callable[[], list[psutil.Process]]) -> Iterator[Watch]:
    """Sample in a thread, twenty times a second."""
    watch, over = Watch(), threading.Event()
    thread = threading.Thread(target=_watch, args=(find, watch, over), name="memory", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _watch(find: Callable[[], list[psutil.Process]], watch: Watch, over: threading.Event) -> None:
    searched_at, processes = 0.0, list[psutil.Process]()
    while True:
        if time.monotonic() - searched_at > _SEARCH_SECONDS:
            searched_at, processes = time.monotonic(), find()
        watch.peak = watch.peak.joined(held(processes))
        if over.wait(_SAMPLE_SECONDS):
            return


def run_processes(code_server: psutil.Process) -> list[psutil.Process]:
    """Return the processes of runs, and their children."""
    processes: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for child in code_server.children():
            with contextlib.suppress(psutil.Error):
                if any(_FORK_SERVER in word for word in child.cmdline()):
                    processes += child.children(recursive=True)
    return processes


def held(processes: list[psutil.Process]) -> Peak:
    """Return the memory that the processes hold now; one that has ended holds none."""
    rss, private = 0, 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            rss += memory.rss
            private += memory.rss - getattr(memory, "shared", 0)
    return Peak(rss, private)
