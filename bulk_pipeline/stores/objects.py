"""Objects in S3: find, look at, copy, remove, read and write them. What one is for is not known here.

Wherever a bucket is named it may be `bucket/prefix`: a part of a shared bucket, whose keys begin behind that prefix.
Only this module knows the difference.
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
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.found_objects import BEHIND_FOLDER, FoundObject, ObjectHead, Page
from bulk_pipeline.stores.object_reader import open_object
from bulk_pipeline.stores.object_writer import ObjectWriter, SmallFirst, write_object

MULTIPART_COPY_BYTES = 1 << 30
"""Larger objects are copied part by part: S3 copies at most 5 GB at once, and slow servers need time."""

_UPLOAD = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
_UPLOAD.max_in_memory_upload_chunks = 4  # s3transfer reads ten ahead, and boto3 has no parameter for it


class ObjectStore:
    """One S3 server. Every method raises `StoreUnavailableError` in an outage; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self._client = s3.connect(settings)

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page:
        """Up to `limit` objects in the order of their keys, beginning behind the key `after`.

        `by_folder`: a folder counts as one, whatever lies in it, and is in `folders`.
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
        elapsed = timedelta(seconds=time.monotonic() - started)
        answered_at = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        # Where somebody has made the prefix as a folder, an object of that name stands for it.
        own = place.key("")
        entries = {entry["Key"]: entry for entry in response.get("Contents", []) if entry["Key"] != own}
        names = sorted([*entries, *(common["Prefix"] for common in response.get("CommonPrefixes", []))])
        shown = names[:limit]
        found = tuple(
            FoundObject(
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
        return Page(found, following, answered_at.astimezone(UTC) - elapsed, folders)

    def find(self, bucket: str, key: str) -> FoundObject | None:
        """The object of exactly that key, as a listing shows it."""
        found = self.page(bucket, key, limit=1).found
        return found[0] if found and found[0].key == key else None

    def head(self, bucket: str, key: str) -> ObjectHead:
        """What is known of the object; `NotFoundError` without it."""
        with s3.answers(f"s3://{bucket}/{key}"):
            response = self._client.head_object(**_place(bucket, key))
        return ObjectHead(
            etag=response["ETag"].strip('"'),
            size_bytes=response["ContentLength"],
            last_modified=response["LastModified"].astimezone(UTC),
            metadata={name: unquote(value) for name, value in response["Metadata"].items()},
            content_type=response.get("ContentType", ""),
        )

    def copy(self, found: FoundObject, bucket: str, key: str) -> bool:
        """Copy the object with its metadata, inside the store. False if it is gone or has changed since."""
        copy = self._copy_in_parts if found.size_bytes > MULTIPART_COPY_BYTES else self._copy_at_once
        with s3.answers(f"s3://{found.bucket}/{found.key}"):
            try:
                copy(found, bucket, key)
            except NotFoundError:
                return False
            except ClientError as error:
                if s3.is_gone_or_changed(error):
                    return False
                raise
        return True

    def remove_if_unchanged(self, found: FoundObject) -> bool:
        """Remove the object unless it is gone or another has taken its place; says whether it did."""
        try:
            head = self.head(found.bucket, found.key)
        except NotFoundError:
            return False
        if (head.etag, head.last_modified) != (found.etag, found.last_modified.replace(microsecond=0)):
            return False
        with s3.answers(f"s3://{found.bucket}/{found.key}"):
            # Servers that know the condition close the gap since HEAD; older ones ignore it.
            self._client.delete_object(**_place(found.bucket, found.key), IfMatch=f'"{found.etag}"')
        return True

    def remove(self, bucket: str, key: str) -> None:
        """Remove the object, if it is there."""
        with s3.answers(f"s3://{bucket}/{key}"):
            self._client.delete_object(**_place(bucket, key))

    def open(self, bucket: str, key: str) -> io.BufferedReader:
        """The object's bytes as a file; see `open_object`."""
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
        """Write an object of any size, in parts; nothing is left of it if reading or writing fails.

        Metadata values may be any text: they are percent-encoded, because S3 takes ASCII only.
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
        """Write a small object at once."""
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
        """An object that is written piece by piece; see `write_object`."""
        place = S3Folder.of(bucket)
        return write_object(self._client, place.bucket, place.key(key), content_type, may_complete)

    @contextmanager
    def streaming(self, bucket: str, key: str, *, content_type: str) -> Iterator[SmallFirst]:
        """The same for several side by side, most of them small: these take one request, and where nothing is written
        there will be no object."""
        place = S3Folder.of(bucket)
        large = write_object(
            self._client, place.bucket, place.key(key), content_type, _at_any_time, at_once=1
        )
        with ExitStack() as stack:
            writer = SmallFirst(lambda: stack.enter_context(large))
            yield writer
            if writer.held:
                self.put(bucket, key, bytes(writer.held), content_type=content_type)
        if writer.is_large:
            # One that was begun before: the answer was lost, or whoever had begun it died.
            self.abort_uploads(bucket, key)

    def remove_folder(self, bucket: str, folder: str, *, first: str) -> int:
        """Remove what is under a key that ends with a slash, and uploads on their way there; gives how many objects.

        The object called `first` goes before the others. What is uploaded there now cannot be completed any more.
        """
        self.abort_uploads(bucket, folder)
        keys = list[str]()
        page = self.page(bucket, folder)
        while page.found:
            keys += [found.key for found in page.found]
            page = self.page(bucket, folder, after=keys[-1])
        for key in sorted(keys, key=lambda key: (key != folder + first, key)):
            self.remove(bucket, key)
        return len(keys)

    def presigned_url(
        self, bucket: str, key: str, *, seconds: int = 3600, file_name: str | None = None
    ) -> str:
        """An address from which anybody can read the object for a while; downloads as `file_name`."""
        asked = _place(bucket, key)
        if file_name:
            asked["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        return self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)

    def ensure_buckets(self, *names: str) -> None:
        """Create the buckets that are missing."""
        for name in names:
            try:
                with s3.answers(f"s3://{name}"):
                    self._client.head_bucket(Bucket=S3Folder.of(name).bucket)
            except NotFoundError:
                self._create_bucket(S3Folder.of(name).bucket)

    def abort_uploads(self, bucket: str, prefix: str = "", *, older_than: timedelta | None = None) -> int:
        """Throw away what uploads that are not finished have left; gives how many there were."""
        place, now = S3Folder.of(bucket), datetime.now(UTC)
        with s3.answers(f"s3://{bucket}"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket)
            found = [upload for page in pages for upload in page.get("Uploads", [])]
        # MinIO takes a prefix of this listing for a whole key.
        chosen = [
            upload
            for upload in found
            if upload["Key"].startswith(place.key(prefix))
            and (older_than is None or now - upload["Initiated"] > older_than)
        ]
        for upload in chosen:
            with suppress(NotFoundError), s3.answers(f"s3://{place.bucket}/{upload['Key']}"):
                self._client.abort_multipart_upload(
                    Bucket=place.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(chosen)

    def _copy_at_once(self, found: FoundObject, bucket: str, key: str) -> None:
        self._client.copy_object(
            **_place(bucket, key),
            CopySource=_place(found.bucket, found.key),
            CopySourceIfMatch=f'"{found.etag}"',
        )

    def _copy_in_parts(self, found: FoundObject, bucket: str, key: str) -> None:
        metadata = _encoded(self.head(found.bucket, found.key).metadata)
        place = S3Folder.of(bucket)
        self._client.copy(
            _place(found.bucket, found.key),
            place.bucket,
            place.key(key),
            ExtraArgs={
                "CopySourceIfMatch": f'"{found.etag}"',
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
                return  # somebody else was faster


def _at_any_time() -> None:
    pass


def _place(bucket: str, key: str) -> dict[str, str]:
    """The object as S3 knows it."""
    place = S3Folder.of(bucket)
    return {"Bucket": place.bucket, "Key": place.key(key)}


def _encoded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: quote(value, safe="!#$&'()*+,/:;=?@[]~") for name, value in metadata.items()}
