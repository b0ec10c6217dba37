"""An object that is written piece by piece, of any size, and is there when it is whole, or not at all.

It is always an S3 multipart upload, however small: aborting that upload, which anybody can do, is what keeps a writer
that was given up for dead from completing its object later.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.stores.s3 import Client, answers

_PIECE_BYTES = 5 << 20
"""S3 takes no less. Of three reports six are held at a time: with 8 MB each a run took 20 to 30 MB more."""
_PIECES_OF_A_SIZE = 1_000
"""S3 takes 10,000 pieces: every thousandth makes those that follow larger, which is enough for 270 GB."""
_AT_ONCE = 2


@contextmanager
def write_object(
    client: Client,
    bucket: str,
    key: str,
    content_type: str,
    may_complete: Callable[[], None],
    at_once: int = _AT_ONCE,
) -> Iterator["ObjectWriter"]:
    """A writer; the object appears when the block ends without an exception, and else leaves nothing behind.

    `may_complete` is called before the upload begins and before it is completed, and raises if it must not be.
    `at_once`: pieces that are sent while the next one is made. In an outage they stay in the store, unseen, until
    somebody aborts the upload.
    """
    may_complete()
    with answers(f"s3://{bucket}/{key}"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)
    place = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    with ThreadPoolExecutor(at_once, thread_name_prefix="pieces") as threads:
        writer = ObjectWriter(client, place, threads, at_once)
        try:
            yield writer
            pieces = writer.finish()
            may_complete()
            with answers(f"s3://{bucket}/{key}"):
                client.complete_multipart_upload(**place, MultipartUpload={"Parts": pieces})
        except BaseException:
            writer.stop()
            with suppress(BulkPipelineError), answers(f"s3://{bucket}/{key}"):
                client.abort_multipart_upload(**place)
            raise


class SmallFirst:
    """Holds what is written as long as that is less than a piece; else it goes, with all that follows, to the writer
    that `begin` gives. `held`: what no writer has got."""

    def __init__(self, begin: Callable[[], "ObjectWriter"]) -> None:
        self.held = bytearray()
        self._begin = begin
        self._writer: ObjectWriter | None = None

    @property
    def is_large(self) -> bool:
        return self._writer is not None

    def write(self, data: Any, /) -> None:  # whatever has a buffer
        if self._writer is not None:
            self._writer.write(data)
            return
        self.held += data
        if len(self.held) >= _PIECE_BYTES:
            self._writer = self._begin()
            self._writer.write(self.held)
            self.held.clear()


class ObjectWriter:
    """Sends pieces in threads, `at_once`, while the next one is made; holds one more than that, in buffers that are
    used again: new ones cost as much as what is written into them."""

    def __init__(
        self, client: Client, place: dict[str, str], threads: ThreadPoolExecutor, at_once: int
    ) -> None:
        self._client = client
        self._place = place
        self._threads = threads
        self._at_once = at_once
        self._buffers = [bytearray() for _ in range(at_once + 1)]
        self._filled = 0
        self._sent: list[Future[dict[str, Any]]] = []

    def write(self, data: Any, /) -> None:  # whatever has a buffer
        rest = memoryview(data).cast("B")
        while rest:
            buffer = self._buffer()
            taken = rest[: len(buffer) - self._filled]
            buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == len(buffer):
                self._send(buffer)

    def finish(self) -> list[dict[str, Any]]:
        """All pieces, sent; at least one, as S3 wants it."""
        if self._filled or not self._sent:
            self._send(self._buffer()[: self._filled])
        return [sent.result() for sent in self._sent]

    def stop(self) -> None:
        """Send nothing more."""
        for sent in self._sent:
            sent.cancel()

    def _buffer(self) -> bytearray:
        """That of the piece which is made: the one before it that had this buffer has been sent."""
        turn, size = len(self._sent) % len(self._buffers), self._piece_bytes()
        if len(self._buffers[turn]) != size:
            self._buffers[turn] = bytearray(size)
        return self._buffers[turn]

    def _piece_bytes(self) -> int:
        return _PIECE_BYTES * (1 + len(self._sent) // _PIECES_OF_A_SIZE)

    def _send(self, piece: bytearray) -> None:
        if len(self._sent) >= self._at_once:
            self._sent[-self._at_once].result()
        self._filled = 0
        self._sent.append(self._threads.submit(self._send_one, len(self._sent) + 1, piece))

    def _send_one(self, number: int, piece: bytearray) -> dict[str, Any]:
        with answers(f"s3://{self._place['Bucket']}/{self._place['Key']}"):
            answer = self._client.upload_part(**self._place, PartNumber=number, Body=piece)
        return {"PartNumber": number, "ETag": answer["ETag"]}
