"""Keeps the lease on an export alive while work goes on, brings its progress, and notices a lost lease or a cancel."""

from types import TracebackType

from bulk_pipeline.errors import JobCancelledError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.stores.beating import Beating
from bulk_pipeline.stores.export_jobs import ExportJob
from bulk_pipeline.stores.export_leases import ExportLeases


class ExportHeartbeat(Beating):
    """Call it with the rows and bytes written so far.

    A cancel also ends the statement that the export waits for: the block then raises `JobCancelledError`.
    """

    def __init__(self, leases: ExportLeases, job: ExportJob, *, seconds: float) -> None:
        super().__init__(seconds)
        self._leases = leases
        self._job = job
        self._progress = (0, 0)
        self._news: LeaseLostError | JobCancelledError | None = None

    def __call__(self, rows: int, size: int) -> None:
        """Note the progress. Raises `LeaseLostError` or `JobCancelledError` if the work should stop."""
        self._progress = (rows, size)
        if self._news is not None:
            raise self._news

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._news is not None and isinstance(error, StoreUnavailableError):
            raise self._news from error

    def check(self) -> None:
        """Beat now; raises like a call, and `StoreUnavailableError`."""
        self._leases.beat(self._job, *self._progress)

    def beat(self) -> None:
        try:
            self.check()
        except LeaseLostError as error:
            self._news = error
            self.stop()
        except JobCancelledError as error:
            self._news = error
            self._leases.end_statement(self._job)
