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

_PIECE_BYTES = 8 << 20
_PIECES_OF_A_SIZE = 1_000
"""S3 takes 10,000 pieces: every thousandth makes those that follow larger, which is enough for 400 GB."""
_AT_ONCE = 2


@contextmanager
def write_object(
    client: Client, bucket: str, key: str, content_type: str, may_complete: Callable[[], None]
) -> Iterator["ObjectWriter"]:
    """A writer; the object appears when the block ends without an exception, and else leaves nothing behind.

    `may_complete` is called before the upload begins and before it is completed, and raises if it must not be.
    In an outage the pieces stay in the store, unseen, until somebody aborts the upload.
    """
    may_complete()
    with answers(f"s3://{bucket}/{key}"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)
    place = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pieces") as threads:
        writer = ObjectWriter(client, place, threads)
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


class ObjectWriter:
    """Sends pieces in threads while the next one is made; holds three of them at most."""

    def __init__(self, client: Client, place: dict[str, str], threads: ThreadPoolExecutor) -> None:
        self._client = client
        self._place = place
        self._threads = threads
        self._waiting: list[bytes] = []
        self._size = 0
        self._sent: list[Future[dict[str, Any]]] = []

    def write(self, data: Any, /) -> None:  # whatever has a buffer
        self._waiting.append(bytes(data))
        self._size += len(self._waiting[-1])
        if self._size >= _PIECE_BYTES * (1 + len(self._sent) // _PIECES_OF_A_SIZE):
            self._send()

    def finish(self) -> list[dict[str, Any]]:
        """All pieces, sent; at least one, as S3 wants it."""
        if self._waiting or not self._sent:
            self._send()
        return [sent.result() for sent in self._sent]

    def stop(self) -> None:
        """Send nothing more."""
        for sent in self._sent:
            sent.cancel()

    def _send(self) -> None:
        if len(self._sent) >= _AT_ONCE:
            self._sent[-_AT_ONCE].result()
        piece, self._waiting, self._size = b"".join(self._waiting), [], 0
        self._sent.append(self._threads.submit(self._send_one, len(self._sent) + 1, piece))

    def _send_one(self, number: int, piece: bytes) -> dict[str, Any]:
        with answers(f"s3://{self._place['Bucket']}/{self._place['Key']}"):
            answer = self._client.upload_part(**self._place, PartNumber=number, Body=piece)
        return {"PartNumber": number, "ETag": answer["ETag"]}
