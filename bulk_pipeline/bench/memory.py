"""The memory of runs, or of a service: samples its processes while something is going on."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil

_SAMPLE_SECONDS = 0.05
_SEARCH_SECONDS = 0.5
"""Looking for processes reads every process of the machine: too dear for each sample."""
_WARM = "multiprocessing.forkserver"
"""What the command line says of the process that runs are forked from; see `orchestration.code_server`."""


@dataclass(frozen=True)
class Peak:
    """The most that the processes held together. `private`: without pages of files and shared ones."""

    rss_bytes: int = 0
    private_bytes: int = 0

    def joined(self, other: "Peak") -> "Peak":
        return Peak(max(self.rss_bytes, other.rss_bytes), max(self.private_bytes, other.private_bytes))


class Watch:
    """`peak` is complete once the block of `watching` has ended."""

    def __init__(self) -> None:
        self.peak = Peak()


def watching(code_server: psutil.Process) -> AbstractContextManager[Watch]:
    """Watch the runs that start meanwhile, with whatever they start."""
    return _watching(lambda: run_processes(code_server))


def watching_service(process: psutil.Process) -> AbstractContextManager[Watch]:
    """Watch one process."""
    return _watching(lambda: [process])


@contextlib.contextmanager
def _watching(find: Callable[[], list[psutil.Process]]) -> Iterator[Watch]:
    """Twenty times a second, in a thread."""
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
    """Runs, and what they have started."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for child in code_server.children():
            with contextlib.suppress(psutil.Error):
                if any(_WARM in word for word in child.cmdline()):
                    found += child.children(recursive=True)
    return found


def held(processes: list[psutil.Process]) -> Peak:
    """What they hold together now; one that has ended holds nothing."""
    rss, private = 0, 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            rss += memory.rss
            private += memory.rss - getattr(memory, "shared", 0)
    return Peak(rss, private)
