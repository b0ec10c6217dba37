"""Keeps the lease on an export alive while work goes on, brings its progress, and notices a lost lease or a cancel."""

import threading
from types import TracebackType
from typing import Self

from bulk_pipeline.errors import JobCancelledError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.stores.export_jobs import ExportJob
from bulk_pipeline.stores.export_leases import ExportLeases


class ExportHeartbeat:
    """A thread that beats as long as the `with` block lasts. Call it with the rows and bytes written so far.

    An outage stops nothing here: the lease is renewed when Postgres is back, unless somebody has taken it.
    """

    def __init__(self, leases: ExportLeases, job: ExportJob, *, seconds: float) -> None:
        self._leases = leases
        self._job = job
        self._seconds = seconds
        self._progress = (0, 0)
        self._news: LeaseLostError | JobCancelledError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __call__(self, rows: int, size: int) -> None:
        """Note the progress. Raises `LeaseLostError` or `JobCancelledError` if the work should stop."""
        self._progress = (rows, size)
        if self._news is not None:
            raise self._news

    def check(self) -> None:
        """Beat now; raises like a call, and `StoreUnavailableError`."""
        self._leases.beat(self._job, *self._progress)

    def _beat_on(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.check()
            except StoreUnavailableError:
                continue
            except (LeaseLostError, JobCancelledError) as error:
                self._news = error
                return
