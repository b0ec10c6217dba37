"""Reads an object as a file. After a broken connection, reading continues where it stopped."""

import io
import time
from collections.abc import Callable
from typing import Any

from botocore import exceptions as boto

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.s3.client import Client, answers

_BROKEN = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    OSError,
    StoreUnavailableError,
)
_TRIES = 6  # in a row without a single byte: about 6 seconds
_BUFFER_BYTES = 1 << 20


def open_object(
    client: Client, bucket: str, key: str, *, wait: Callable[[float], None] = time.sleep
) -> io.BufferedReader:
    """Return the object as a file. Raises `NotFoundError` at once, `StoreUnavailableError` while reading.

    Seeking costs a request. If the object changes meanwhile, reading raises `StoreRefusedError`.
    """
    return io.BufferedReader(ObjectReader(client, bucket, key, wait), _BUFFER_BYTES)


class ObjectReader(io.RawIOBase):
    """Reads an object with one request, and with further requests for the rest if the connection breaks."""

    def __init__(self, client: Client, bucket: str, key: str, wait: Callable[[float], None]) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._name = f"s3://{bucket}/{key}"
        self._wait = wait
        self._position = 0
        with answers(self._name):
            response = client.get_object(**self._place)
        self._size: int = response["ContentLength"]
        self._etag: str = response["ETag"]
        self._body: Any = response["Body"]  # boto3's classes have no types

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        position = start + offset
        if position < 0:
            raise ValueError(f"cannot seek to {position}")
        if position != self._position:
            self._drop_body()
            self._position = position
        return position

    def readinto(self, buffer: Any, /) -> int:  # typeshed names a private type here
        if self._position >= self._size:
            return 0
        size = min(len(buffer), self._size - self._position)
        broken: Exception | None = None
        for attempt in range(_TRIES):
            try:
                chunk = self._read_some(size)
            except _BROKEN as error:
                broken = error
            else:
                buffer[: len(chunk)] = chunk
                self._position += len(chunk)
                return len(chunk)
            self._drop_body()
            self._wait(0.2 * 2**attempt)
        raise StoreUnavailableError(
            f"{self._name}: the connection broke at byte {self._position} of {self._size}: {broken}"
        ) from broken

    def close(self) -> None:
        self._drop_body()
        super().close()

    def _read_some(self, size: int) -> bytes:
        if self._body is None:
            with answers(self._name):
                response = self._client.get_object(
                    **self._place, IfMatch=self._etag, Range=f"bytes={self._position}-"
                )
            self._body = response["Body"]
        chunk = self._body.read(size)
        if not chunk:
            raise boto.IncompleteReadError(actual_bytes=self._position, expected_bytes=self._size)
        return chunk

    def _drop_body(self) -> None:
        if getattr(self, "_body", None) is not None:
            self._body.close()
            self._body = None
