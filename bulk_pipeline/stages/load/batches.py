"""Cuts a file into the ranges that are committed one by one, reads ahead, and has some of them written at a time."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.load.row_store import Range

_RANGE_BYTES = 8 << 20
"""Two ranges are written while a third is made ready: 50,000 rows of 10 KB each would be 1.5 GB at once."""

T = TypeVar("T")
R = TypeVar("R")


def rows_of_a_range(most: int, rows: int, size_bytes: int) -> int:
    """How many source rows are committed together: `most`, or fewer if the file's rows are wide."""
    if not (rows and size_bytes):
        return most
    return max(1, min(most, _RANGE_BYTES * rows // size_bytes))


def ranges(total_rows: int, batch_rows: int) -> list[Range]:
    """All ranges of a file: `batch_rows` source rows each, rejected ones included."""
    firsts = range(1, total_rows + 1, batch_rows)
    return [Range(first, min(first + batch_rows - 1, total_rows)) for first in firsts]


def cut(
    good: Iterable[pa.RecordBatch], wanted: Sequence[Range]
) -> Iterator[tuple[Range, list[pa.RecordBatch]]]:
    """The good rows of each wanted range, in order; also of those without any. Nothing is copied."""
    batches = iter(good)
    rest = next(batches, None)
    for range_ in wanted:
        parts: list[pa.RecordBatch] = []
        while rest is not None:
            start, end = np.searchsorted(rest["_row"].to_numpy(), [range_.first, range_.last + 1]).tolist()
            if end > start:
                parts.append(rest.slice(start, end - start))
            if end < rest.num_rows:
                rest = rest.slice(end)
                break
            rest = next(batches, None)
        yield range_, parts


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each made by a thread while the one before it is used.

    While Postgres swallows a batch, the next one is sorted and gets its ids: about a fifth less
    time on 2 cores.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        upcoming = thread.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = thread.submit(next, items, end)
            yield item  # pyright: ignore[reportReturnType]  # `end` never gets here


def side_by_side(
    work: Callable[[T], R], items: Iterable[T], *, at_once: int, interrupt: Callable[[], None]
) -> Generator[R, None, None]:
    """What `work` makes of each item, in threads, in the order in which they get done; one at a time in this thread.

    When one fails no other begins; it is raised once those that have begun are over. `interrupt` ends these early,
    if the caller has no time for that.
    """
    if at_once == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="writers") as threads:
        running: set[Future[R]] = set()
        try:
            for item in items:
                running.add(threads.submit(work, item))
                if len(running) == at_once:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except Exception:
            raise
        except BaseException:
            interrupt()
            raise
