"""Runs checks of files, one at a time, each in a process of its own."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.pipeline.container import Stores

SECONDS = 600
"""Longest time of a check, in which some ten million rows are read."""
MOST_WAITING = 20

_FAILED = (
    "The check did not come to an end. The file may still be loaded, which reports what is wrong with it."
)

_log = structlog.get_logger(__name__)


class Checker:
    """The checks of one process of the API."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="check")
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self.waiting = 0

    def start(self, check_id: str) -> None:
        """Check the file as soon as the earlier ones are done."""
        self.waiting += 1
        self._threads.submit(self._run, check_id)

    def close(self) -> None:
        """End the check that is running; those that wait are never done."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            self._process.kill()
        self._threads.shutdown()

    def _run(self, check_id: str) -> None:
        try:
            command = [sys.executable, "-m", "bulk_pipeline.office.check_process"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                self._process = process
                if self._is_closed:
                    process.kill()
                try:
                    _, errors = process.communicate(pickle.dumps((self._stores.settings, check_id)), SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    errors = b"it took too long"
            self._process = None
            if process.returncode != 0:
                last = errors.decode(errors="replace").strip().rpartition("\n")[2]
                _log.warning("a check failed", check_id=check_id, kind=last.partition(":")[0])
                with suppress(BulkPipelineError):
                    self._stores.file_checks.finish(check_id, error=_FAILED)
        finally:
            self.waiting -= 1
