"""The protocol of files that are written piece by piece."""

from typing import Protocol

from bulk_pipeline.arrow.text import Bytes


class Sink(Protocol):
    """Takes the bytes of a file. The caller may reuse a buffer as soon as `write` returns."""

    def write(self, data: Bytes, /) -> object: ...
