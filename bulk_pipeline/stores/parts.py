"""Has several threads work through one stream, each on a part of it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Generic, TypeVar

import pyarrow as pa

T = TypeVar("T")
R = TypeVar("R")


def in_parts(
    work: Callable[[Iterator[T]], R],
    items: Iterable[T],
    threads: int,
    *,
    interrupt: Callable[[], None],
) -> list[R]:
    """What `work` makes of each part; every item is in one of them. `interrupt` ends the other parts if one fails."""
    shared = _Shared(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="parts") as pool:
        parts = [pool.submit(work, shared) for _ in range(threads)]
        try:
            for part in as_completed(parts):
                part.result()  # the first to fail says so at once
            return [part.result() for part in parts]
        except BaseException:
            interrupt()
            raise


class _Shared(Generic[T]):
    """Items that threads take in turn, each of them once."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)


def first_rows(
    batches: Iterable[pa.RecordBatch], most: int, most_bytes: int
) -> tuple[pa.Table, Iterator[pa.RecordBatch] | None]:
    """The first batches, until they are more than `most` rows or take more bytes, and the others; None if that
    is all."""
    rest, begin, rows, size_bytes = iter(batches), list[pa.RecordBatch](), 0, 0
    for batch in rest:
        begin.append(batch)
        rows += batch.num_rows
        size_bytes += batch.nbytes
        if rows > most or size_bytes > most_bytes:
            return pa.Table.from_batches(begin), rest
    return pa.Table.from_batches(begin), None
