"""Bytes on their way: hashed as they were uploaded, and looked at before they are used."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

READ_BYTES = 1 << 20


class Uploaded:
    """The bytes as they were uploaded. `size` and `sha256` cover what has been read so far.

    `check` is called for each piece that is read or unpacked, and raises if reading should stop.
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
    """An iterator over bytes whose beginning can be looked at without being used up."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._head = b""

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or a few more, or all there are."""
        parts, have = [self._head], len(self._head)
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._head = b"".join(parts) if len(parts) > 1 else self._head
        return self._head

    def drop(self, size: int) -> None:
        """Forget the first `size` bytes of what was peeked."""
        self._head = self._head[size:]

    def put_back(self, data: bytes) -> None:
        """Have these bytes come first."""
        self._head = data + self._head

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return next(self._chunks)
