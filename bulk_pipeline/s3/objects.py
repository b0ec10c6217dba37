"""Lists, copies, removes, reads and writes objects in S3; knows nothing about their meaning.

Every `bucket` may be `bucket/prefix`, a part of a shared bucket; keys are relative to the prefix. Callers need not
know the difference.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import quote, unquote

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.listing import BEHIND_FOLDER, ListedObject, ObjectHead, Page
from bulk_pipeline.s3.reader import open_object
from bulk_pipeline.s3.store_clock import clock_of
from bulk_pipeline.s3.writer import ObjectWriter, SmallFirst, write_object
from bulk_pipeline.settings import S3Folder, Settings

MULTIPART_COPY_BYTES = 1 << 30
"""Larger objects are copied in parts: S3 copies at most 5 GB at once, and slow servers need time."""

_UPLOAD = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
_UPLOAD.max_in_memory_upload_chunks = 4  # s3transfer reads ten ahead, and boto3 has no parameter for it


class ObjectStore:
    """One S3 server. Every method raises `StoreUnavailableError` in an outage; threads may share it.

    `client` is an existing connection to it.
    """

    def __init__(self, settings: Settings, client: s3.Client | None = None) -> None:
        self._client = client or s3.connect(settings)
        self._clock = clock_of(settings.s3_endpoint_url)

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page:
        """Return up to `limit` objects in the order of their keys, beginning after the key `after`.

        `by_folder`: a folder counts as one entry, and is in `folders`.
        """
        place = S3Folder.of(bucket)
        started = time.monotonic()
        with s3.answers(f"s3://{bucket}/{prefix}"):
            response = self._client.list_objects_v2(
                Bucket=place.bucket,
                Prefix=place.key(prefix),
                StartAfter=place.key(after) if after else "",
                MaxKeys=min(limit + 1, 1000) if place.prefix else limit,
                Delimiter="/" if by_folder else "",
            )
        ended = time.monotonic()
        answered_at = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        # If the prefix was created as a folder, an object has its name.
        own = place.key("")
        entries = {entry["Key"]: entry for entry in response.get("Contents", []) if entry["Key"] != own}
        names = sorted([*entries, *(common["Prefix"] for common in response.get("CommonPrefixes", []))])
        shown = names[:limit]
        objects = tuple(
            ListedObject(
                bucket,
                key.removeprefix(own),
                entries[key]["ETag"].strip('"'),
                entries[key]["Size"],
                entries[key]["LastModified"].astimezone(UTC),
            )
            for key in shown
            if key in entries
        )
        folders = tuple(name.removeprefix(own) for name in shown if name not in entries)
        following = None
        if shown and (response["IsTruncated"] or len(names) > limit):
            following = shown[-1].removeprefix(own) + ("" if shown[-1] in entries else BEHIND_FOLDER)
        return Page(objects, following, self._clock.reached(answered_at, started, ended), folders)

    def find(self, bucket: str, key: str) -> ListedObject | None:
        """Return the object with exactly this key as in a listing, or None."""
        objects = self.page(bucket, key, limit=1).objects
        return objects[0] if objects and objects[0].key == key else None

    def head(self, bucket: str, key: str) -> ObjectHead:
        """Return the object's metadata. Raises `NotFoundError` if it does not exist."""
        with s3.answers(f"s3://{bucket}/{key}"):
            response = self._client.head_object(**_place(bucket, key))
        return ObjectHead(
            etag=response["ETag"].strip('"'),
            size_bytes=response["ContentLength"],
            last_modified=response["LastModified"].astimezone(UTC),
            metadata={name: unquote(value) for name, value in response["Metadata"].items()},
            content_type=response.get("ContentType", ""),
        )

    def copy(self, source: ListedObject, bucket: str, key: str) -> bool:
        """Copy the object with its metadata, inside the store. Return False if it is gone or has changed."""
        copy = self._copy_in_parts if source.size_bytes > MULTIPART_COPY_BYTES else self._copy_at_once
        with s3.answers(f"s3://{source.bucket}/{source.key}"):
            try:
                copy(source, bucket, key)
            except NotFoundError:
                return False
            except ClientError as error:
                if s3.is_gone_or_changed(error):
                    return False
                raise
        return True

    def remove_if_unchanged(self, source: ListedObject) -> bool:
        """Remove the object unless it is gone or was replaced. Return whether it was removed."""
        try:
            head = self.head(source.bucket, source.key)
        except NotFoundError:
            return False
        if (head.etag, head.last_modified) != (source.etag, source.last_modified.replace(microsecond=0)):
            return False
        with s3.answers(f"s3://{source.bucket}/{source.key}"):
            # On servers that know the condition, it closes the gap since HEAD; older ones ignore it.
            self._client.delete_object(**_place(source.bucket, source.key), IfMatch=f'"{source.etag}"')
        return True

    def remove(self, bucket: str, key: str) -> None:
        """Remove the object if it exists."""
        with s3.answers(f"s3://{bucket}/{key}"):
            self._client.delete_object(**_place(bucket, key))

    def open(self, bucket: str, key: str) -> io.BufferedReader:
        """Return the object's bytes as a file; see `open_object`."""
        place = S3Folder.of(bucket)
        return open_object(self._client, place.bucket, place.key(key))

    def upload(
        self,
        bucket: str,
        key: str,
        stream: BinaryIO,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Write an object of any size, in parts. If reading or writing fails, no part of it remains.

        Metadata values may be any text: they are percent-encoded, because S3 accepts ASCII only.
        `progress` gets the bytes sent since its last call, from several threads.
        """
        extra = {"Metadata": _encoded(metadata or {}), "ContentType": content_type}
        place = S3Folder.of(bucket)
        with s3.answers(f"s3://{bucket}/{key}"):
            self._client.upload_fileobj(
                stream, place.bucket, place.key(key), ExtraArgs=extra, Callback=progress, Config=_UPLOAD
            )

    def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Write a small object."""
        with s3.answers(f"s3://{bucket}/{key}"):
            self._client.put_object(
                **_place(bucket, key),
                Body=content,
                Metadata=_encoded(metadata or {}),
                ContentType=content_type,
            )

    def writing(
        self, bucket: str, key: str, *, content_type: str, may_complete: Callable[[], None]
    ) -> AbstractContextManager[ObjectWriter]:
        """Return a writer for an object that is written in pieces; see `write_object`."""
        place = S3Folder.of(bucket)
        return write_object(self._client, place.bucket, place.key(key), content_type, may_complete)

    @contextmanager
    def streaming(self, bucket: str, key: str, *, content_type: str) -> Iterator[SmallFirst]:
        """Yield a writer for one of several concurrent objects, most of them small.

        A small object takes one request; without data, no object is written.
        """
        place = S3Folder.of(bucket)
        large = write_object(
            self._client, place.bucket, place.key(key), content_type, _at_any_time, at_once=1
        )
        with ExitStack() as stack:
            writer = SmallFirst(lambda: stack.enter_context(large))
            yield writer
            if writer.buffer:
                self.put(bucket, key, bytes(writer.buffer), content_type=content_type)
        if writer.is_large:
            # Uploads left by a lost answer, or by an earlier writer that died.
            self.abort_uploads(bucket, key)

    def pages(self, bucket: str, prefix: str = "") -> Iterator[Page]:
        """Yield all objects in the order of their keys, a page at a time. Objects may be removed meanwhile."""
        after: str | None = ""
        while after is not None:
            page = self.page(bucket, prefix, after=after)
            after = page.next_after
            yield page

    def remove_folder(self, bucket: str, folder: str, *, first: str) -> int:
        """Remove the objects under a key that ends with a slash, and abort uploads to it. Return the number of objects.

        The object named `first` is removed before the others. Uploads in progress there can no longer be completed.
        """
        self.abort_uploads(bucket, folder)
        keys = list[str]()
        page = self.page(bucket, folder)
        while page.objects:
            keys += [entry.key for entry in page.objects]
            page = self.page(bucket, folder, after=keys[-1])
        for key in sorted(keys, key=lambda key: (key != folder + first, key)):
            self.remove(bucket, key)
        return len(keys)

    def presigned_url(
        self, bucket: str, key: str, *, seconds: int = 3600, file_name: str | None = None
    ) -> str:
        """Return a URL that anybody can download the object from for some seconds, as `file_name`."""
        params = _place(bucket, key)
        if file_name:
            params["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        return self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)

    def ensure_buckets(self, *names: str) -> None:
        """Create missing buckets."""
        for name in names:
            try:
                with s3.answers(f"s3://{name}"):
                    self._client.head_bucket(Bucket=S3Folder.of(name).bucket)
            except NotFoundError:
                self._create_bucket(S3Folder.of(name).bucket)

    def abort_uploads(self, bucket: str, prefix: str = "", *, older_than: timedelta | None = None) -> int:
        """Abort unfinished multipart uploads. Return their number."""
        place, now = S3Folder.of(bucket), datetime.now(UTC)
        with s3.answers(f"s3://{bucket}"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket)
            uploads = [upload for page in pages for upload in page.get("Uploads", [])]
        # MinIO treats a prefix of this listing as a whole key.
        chosen = [
            upload
            for upload in uploads
            if upload["Key"].startswith(place.key(prefix))
            and (older_than is None or now - upload["Initiated"] > older_than)
        ]
        for upload in chosen:
            with suppress(NotFoundError), s3.answers(f"s3://{place.bucket}/{upload['Key']}"):
                self._client.abort_multipart_upload(
                    Bucket=place.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(chosen)

    def _copy_at_once(self, source: ListedObject, bucket: str, key: str) -> None:
        self._client.copy_object(
            **_place(bucket, key),
            CopySource=_place(source.bucket, source.key),
            CopySourceIfMatch=f'"{source.etag}"',
        )

    def _copy_in_parts(self, source: ListedObject, bucket: str, key: str) -> None:
        metadata = _encoded(self.head(source.bucket, source.key).metadata)
        place = S3Folder.of(bucket)
        self._client.copy(
            _place(source.bucket, source.key),
            place.bucket,
            place.key(key),
            ExtraArgs={
                "CopySourceIfMatch": f'"{source.etag}"',
                "Metadata": metadata,
                "MetadataDirective": "REPLACE",
            },
            Config=TransferConfig(
                multipart_threshold=MULTIPART_COPY_BYTES, multipart_chunksize=MULTIPART_COPY_BYTES // 4
            ),
        )

    def _create_bucket(self, name: str) -> None:
        region = self._client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with s3.answers(f"s3://{name}"):
            try:
                self._client.create_bucket(Bucket=name, **where)
            except self._client.exceptions.BucketAlreadyOwnedByYou:
                return  # created by another process meanwhile


def _at_any_time() -> None:
    pass


def _place(bucket: str, key: str) -> dict[str, str]:
    """Return bucket and key as S3 names them."""
    place = S3Folder.of(bucket)
    return {"Bucket": place.bucket, "Key": place.key(key)}


def _encoded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: quote(value, safe="!#$&'()*+,/:;=?@[]~") for name, value in metadata.items()}
