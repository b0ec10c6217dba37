"""Runs `dagster api grpc` so that runs are forks of a process that has already imported everything.

Dagster starts every run by "spawn": a new interpreter, which spends two to three seconds on imports before its first
op. Here "spawn" means "forkserver": one process imports the code location, without starting threads or opening
connections, and each run is a fork of it. Dagster's handling of a run's process stays unchanged.

    python -m bulk_pipeline.orchestration.launch.code_server --host 127.0.0.1 --port 4000 --module-name …
"""

import multiprocessing
import os
import runpy
import sys
from multiprocessing import context, forkserver

from bulk_pipeline.settings import DagsterChange, LaunchSettings

MEMORY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "4000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000",
}
"""Environment of runs that lets Arrow and glibc share one allocator, which returns large blocks to the system at once.

Two allocators would each keep freed memory: 715 MB instead of 430 with a million rejected rows. Blocks from 4 MB on are
returned; returning smaller ones too would save 50 MB, but make parsing take half as long again, since new pages are
cleared.
"""

DEFINITIONS, WARM = "bulk_pipeline.definitions", "bulk_pipeline.orchestration.launch.preload"


def main() -> None:
    if DEFINITIONS in sys.argv:
        settings = LaunchSettings()
        # Read when the process of a run starts, or the one that runs are forked from.
        os.environ.update(MEMORY | os.environ)
        if settings.changes(DagsterChange.FORKED_RUNS):
            _fork_runs()
    sys.argv = ["dagster", "api", "grpc", *sys.argv[1:]]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


def _fork_runs() -> None:
    warm = multiprocessing.get_context("forkserver")
    warm.set_forkserver_preload([DEFINITIONS, WARM])  # the last one freezes what exists
    forkserver.ensure_running()
    # Dagster (1.13.27, _grpc/server.py) asks for "spawn" by name and has no setting for it.
    context._concrete_contexts["spawn"] = warm


if __name__ == "__main__":
    main()
