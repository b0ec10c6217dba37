"""Where the bytes of a file go that is made piece by piece."""

from typing import Protocol

import pyarrow as pa

Bytes = bytes | memoryview | pa.Buffer


class Sink(Protocol):
    """What is given may be used again as soon as `write` returns."""

    def write(self, data: Bytes, /) -> object: ...
