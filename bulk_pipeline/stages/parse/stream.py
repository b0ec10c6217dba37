"""Streams of bytes: one that hashes the bytes of an upload, and one whose beginning can be peeked at."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

READ_BYTES = 1 << 20


class Uploaded:
    """The bytes of an upload, before decompression. `size` and `sha256` cover the bytes read so far.

    `check` is called for each piece that is read or unpacked, and raises to stop the reading.
    """

    def __init__(self, stream: BinaryIO, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._stream.read(READ_BYTES):
            self.check()
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class Chunks:
    """An iterator over pieces of bytes whose beginning can be peeked at without consuming it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Return at least the next `size` bytes, or all bytes if there are fewer, without consuming them."""
        parts, have = [self._head], len(self._head)
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._head = b"".join(parts) if len(parts) > 1 else self._head
        return self._head

    def drop(self, size: int) -> None:
        """Drop the first `size` of the peeked bytes."""
        self._head = self._head[size:]

    def put_back(self, data: bytes) -> None:
        """Put the bytes back in front of the stream."""
        self._head = data + self._head

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return next(self._chunks)
