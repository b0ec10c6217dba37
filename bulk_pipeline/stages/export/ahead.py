"""Reads the next batches while the one before is written: the database and the writer work at the same time."""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress

import pyarrow as pa

_WAITING = 2
_LOOK_SECONDS = 0.1


def read_ahead(batches: Iterable[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
    """The batches, read in a thread of their own; what reading raises comes after those read before.

    Close it before `batches` is used by anybody else: that ends the thread.
    """
    read: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_WAITING)
    stopped = threading.Event()

    def put(found: pa.RecordBatch | BaseException | None) -> bool:
        while not stopped.is_set():
            with suppress(queue.Full):
                read.put(found, timeout=_LOOK_SECONDS)
                return True
        return False

    def read_on() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
        except BaseException as error:  # whatever it is, it is for whoever reads
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=read_on, name="read ahead", daemon=True)
    thread.start()
    try:
        while (found := read.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stopped.set()
        thread.join()
