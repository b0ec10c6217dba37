"""New ids: UUID version 7 (RFC 9562, section 5.7), a column at a time.

Ids of one `IdMaker` strictly increase, also if the clock stands still or goes back: 42 of the random bits
are a counter that starts at a random number in every millisecond (section 6.2, method 1). Compared with random
ids, ordered ones halve Postgres's time for the primary key's index.
"""

import secrets
import threading
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.bytes import uuid_texts

COUNTER_BITS = 42


class IdMaker:
    """Creates ids; threads may share one. `now_ms`: the clock, in milliseconds since 1970."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last_ms = -1
        self._counter = 0
        self._lock = threading.Lock()

    def make(self, count: int) -> pa.StringArray:
        """Return `count` new ids in ascending order, as canonical text."""
        with self._lock:
            milliseconds, first = self._reserve(count)
        counters = np.arange(first, first + count, dtype=np.uint64)
        noise = np.frombuffer(secrets.token_bytes(4 * count), np.uint32).astype(np.uint64)
        high = np.uint64(milliseconds << 16 | 0x7000) | counters >> np.uint64(30)
        low = np.uint64(0b10 << 62) | (counters & np.uint64((1 << 30) - 1)) << np.uint64(32) | noise
        octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8)
        return uuid_texts(octets.reshape(count, 16))

    def _reserve(self, count: int) -> tuple[int, int]:
        """Return a millisecond, and the first of `count` unused counters in it."""
        now = max(self._now_ms(), self._last_ms)
        if now == self._last_ms and self._counter + count > 1 << COUNTER_BITS:
            now += 1
        if now > self._last_ms:
            self._counter = secrets.randbits(COUNTER_BITS - 1)  # its top bit is 0: room to count in
        self._last_ms = now
        first = self._counter
        self._counter += count
        return now, first
