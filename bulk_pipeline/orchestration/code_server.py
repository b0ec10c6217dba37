"""`dagster api grpc`, but runs begin in a copy of a process that has imported everything already.

Dagster starts every run by "spawn": a new interpreter, which spends two to three seconds on imports before its first
op. Here that word means "forkserver": one process imports the code location and nothing else, starts no threads and
makes no connections, and each run is a fork of it. Everything Dagster does with a run's process stays as it is.

    python -m bulk_pipeline.orchestration.code_server --host 127.0.0.1 --port 4000 --module-name …
"""

import multiprocessing
import os
import runpy
import sys
from multiprocessing import context, forkserver

MEMORY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "4000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000",
}
"""What the processes of runs tell Arrow and glibc: one allocator for both, which gives large blocks back at once.

Two would keep what was freed, each for itself: 715 MB instead of 430 with a million rejected rows. Blocks from 4 MB
on go back; to give smaller ones back too takes 50 MB less, and half as long again to parse: pages that come anew
are cleared.
"""

EVENTS = {"DAGSTER_EVENT_BATCH_SIZE": "100"}
"""What they tell Dagster: that it may store so many events together, if it gets them as one batch."""

DEFINITIONS, WARM = "bulk_pipeline.definitions", "bulk_pipeline.orchestration.warm"


def main() -> None:
    if DEFINITIONS in sys.argv:
        _fork_runs()
    sys.argv = ["dagster", "api", "grpc", *sys.argv[1:]]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


def _fork_runs() -> None:
    os.environ.update(MEMORY | EVENTS | os.environ)  # read when the process that runs are forked from starts
    warm = multiprocessing.get_context("forkserver")
    warm.set_forkserver_preload([WARM])
    forkserver.ensure_running()
    # Dagster (1.13.27, _grpc/server.py) asks for "spawn" by name and has no setting for it.
    context._concrete_contexts["spawn"] = warm


if __name__ == "__main__":
    main()
