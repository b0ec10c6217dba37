"""Has several threads work through one stream of record batches, each on a part of it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import pyarrow as pa

R = TypeVar("R")


def in_parts(
    work: Callable[[Iterator[pa.RecordBatch]], R],
    batches: Iterable[pa.RecordBatch],
    threads: int,
    *,
    interrupt: Callable[[], None],
) -> list[R]:
    """What `work` makes of each part; every batch is in one of them. `interrupt` ends the other parts if one fails."""
    shared = _Shared(batches)
    with ThreadPoolExecutor(threads, thread_name_prefix="parts") as pool:
        parts = [pool.submit(work, shared) for _ in range(threads)]
        try:
            for part in as_completed(parts):
                part.result()  # the first to fail says so at once
            return [part.result() for part in parts]
        except BaseException:
            interrupt()
            raise


class _Shared:
    """Batches that threads take in turn, each of them once."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        with self._lock:
            return next(self._batches)
