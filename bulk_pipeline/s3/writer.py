"""Writes an object of any size in pieces; the object appears only when it is complete.

Even a small object is an S3 multipart upload: any process can abort the upload, and so prevent a writer that was
declared dead from completing its object later.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.s3.client import Client, answers

_PIECE_BYTES = 5 << 20
"""S3's minimum. Three reports hold six pieces at a time: with 8 MB each, a run took 20 to 30 MB more."""
_PIECES_OF_A_SIZE = 1_000
"""S3 accepts 10,000 pieces. They grow after every thousand, which is enough for 270 GB."""
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
    """Yield a writer. The object appears when the block ends without an exception; otherwise nothing remains.

    `may_complete` is called before the upload begins and before it is completed, and may raise to prevent it.
    `at_once` is the number of pieces that are sent while the next one is filled. After an outage, pieces that were sent
    remain invisibly in the store until the upload is aborted.
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
    """Buffers data smaller than a piece; larger data go to the writer that `begin` returns.

    `buffer` has the data that were not written yet.
    """

    def __init__(self, begin: Callable[[], "ObjectWriter"]) -> None:
        self.buffer = bytearray()
        self._begin = begin
        self._writer: ObjectWriter | None = None

    @property
    def is_large(self) -> bool:
        return self._writer is not None

    def write(self, data: Any, /) -> None:  # anything with a buffer
        if self._writer is not None:
            self._writer.write(data)
            return
        self.buffer += data
        if len(self.buffer) >= _PIECE_BYTES:
            self._writer = self._begin()
            self._writer.write(self.buffer)
            self.buffer.clear()


class ObjectWriter:
    """Sends up to `at_once` pieces in threads while the next one is filled.

    It reuses one buffer more than that: a new buffer costs as much as the data written into it.
    """

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

    def write(self, data: Any, /) -> None:  # anything with a buffer
        rest = memoryview(data).cast("B")
        while rest:
            buffer = self._buffer()
            chunk = rest[: len(buffer) - self._filled]
            buffer[self._filled : self._filled + len(chunk)] = chunk
            self._filled += len(chunk)
            rest = rest[len(chunk) :]
            if self._filled == len(buffer):
                self._send(buffer)

    def finish(self) -> list[dict[str, Any]]:
        """Send the rest, and return all pieces; at least one, as S3 requires."""
        if self._filled or not self._sent:
            self._send(self._buffer()[: self._filled])
        return [sent.result() for sent in self._sent]

    def stop(self) -> None:
        """Cancel pieces that are not being sent yet."""
        for sent in self._sent:
            sent.cancel()

    def _buffer(self) -> bytearray:
        """Return the buffer of the current piece; the piece that used it before has been sent."""
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
        self._sent.append(self._threads.submit(self.send_piece, len(self._sent) + 1, piece))

    def send_piece(self, number: int, piece: bytearray) -> dict[str, Any]:
        """Send one part, in a thread; return its entry for the completion of the upload."""
        with answers(f"s3://{self._place['Bucket']}/{self._place['Key']}"):
            answer = self._client.upload_part(**self._place, PartNumber=number, Body=piece)
        return {"PartNumber": number, "ETag": answer["ETag"]}
