"""Work in threads: read ahead, process several items at a time, share one stream.

All threads have ended when the call returns or its generator is closed.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LOOK_SECONDS = 0.1
"""Interval at which a waiting reader checks whether its consumer has stopped."""


def read_ahead(items: Iterable[T], *, waiting: int = 2) -> Generator[T, None, None]:
    """Yield the items. A thread reads them in advance, at most `waiting` of them.

    An error of reading is raised after the items that were read before it. Close the generator before using `items`
    elsewhere: this ends the thread.
    """
    read: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(waiting)
    stopped = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> bool:
        while not stopped.is_set():
            with suppress(queue.Full):
                read.put(item, timeout=_LOOK_SECONDS)
                return True
        return False

    def read_on() -> None:
        try:
            for item in items:
                if not put((item,)):
                    return
        except BaseException as error:  # raised again in the consumer
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=read_on, name="read ahead", daemon=True)
    thread.start()
    try:
        while (item := read.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        thread.join()


def as_they_finish(
    work: Callable[[T], R], items: Iterable[T], *, at_once: int, interrupt: Callable[[], None]
) -> Generator[R, None, None]:
    """Yield the result of `work` for each item, in the order in which they finish, with `at_once` threads.

    With `at_once=1` the caller's thread works. After an error no further item is started, and the error is raised once
    the started ones have finished. `interrupt` ends these early if the caller is interrupted or closes the generator.
    """
    if at_once == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="workers") as threads:
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
        except Exception:  # of `work`: the started items finish
            raise
        except BaseException:  # the caller is interrupted or closes the generator
            interrupt()
            raise


def ordered_map(work: Callable[[T], R], items: Iterable[T], *, at_once: int) -> list[R]:
    """Return the results of `work` for the items, in their order, with `at_once` threads.

    With `at_once=1` the caller's thread works. After an error no further item is started, and the error of the first
    failed item is raised once the started ones have finished.
    """
    if at_once == 1:
        return list(map(work, items))
    with ThreadPoolExecutor(at_once, thread_name_prefix="workers") as threads:
        futures = [threads.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            threads.shutdown(cancel_futures=True)


def share_stream(
    work: Callable[[Iterator[T]], R],
    items: Iterable[T],
    threads: int,
    *,
    interrupt: Callable[[], None],
) -> list[R]:
    """Return the result of `work` in each thread. The threads take the items in turn, each item once.

    The first error is raised, after `interrupt` has ended the other threads.
    """
    shared = _Shared(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="shares") as pool:
        parts = [pool.submit(work, shared) for _ in range(threads)]
        try:
            for part in as_completed(parts):
                part.result()  # raises the first error at once
            return [part.result() for part in parts]
        except BaseException:
            interrupt()
            raise


class _Shared(Generic[T]):
    """An iterator that threads share; each item goes to one of them."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)
