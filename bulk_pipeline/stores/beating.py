"""A thread that keeps a lease alive; whose, and what else a beat does, is said by those who derive from it."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from bulk_pipeline.errors import StoreUnavailableError


class Beating(ABC):
    """Beats every so many seconds as long as the `with` block lasts, or until `stop`.

    An outage stops nothing here: the lease is renewed when Postgres is back, unless somebody has taken it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        self._stop.set()

    @abstractmethod
    def beat(self) -> None:
        """Renew what is held, once."""

    def _beat_on(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.beat()
            except StoreUnavailableError:
                continue
