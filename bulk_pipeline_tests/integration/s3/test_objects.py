"""Objects of any name and size are stored and read completely, and every problem has its own error."""

import hashlib
import io
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError
from botocore.response import StreamingBody

from bulk_pipeline.errors import NotFoundError, SettingsError, StoreRefusedError, StoreUnavailableError
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3 import objects as objects_module
from bulk_pipeline.s3.buckets import create_buckets
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.s3.reader import open_object
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stages.sink import Sink

ODD_KEYS = [
    'users/it\'s "quoted" & 100%+=%41.csv',
    "users/\u4f60\u597d é \U0001f600.csv",
    "users/line\nbreak\ttab.csv",
    "users/" + "/".join(["x" * 198] * 5),
]


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore(settings)


@pytest.fixture
def bucket(settings: Settings) -> str:
    return settings.s3_bucket_uploads


@pytest.fixture
def archive(settings: Settings) -> str:
    return settings.s3_bucket_archive


def put(
    store: ObjectStore, bucket: str, key: str = "users/a.csv", content: bytes = b"content"
) -> ListedObject:
    store.put(bucket, key, content)
    result = store.find(bucket, key)
    assert result is not None
    return result


def test_pages_hold_everything_once_in_order(store: ObjectStore, bucket: str) -> None:
    keys = [f"users/{number}" for number in range(7)] + ["users-old/a", "users.csv"]
    for key in keys:
        store.put(bucket, key, b"")
    seen: list[str] = []
    after = ""
    while True:
        page = store.page(bucket, after=after, limit=2)
        seen += [entry.key for entry in page.objects]
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == sorted(keys)
    assert [entry.key for entry in store.page(bucket, "users/", after="users/4").objects] == [
        "users/5",
        "users/6",
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_by_folder_list_each_folder_once_without_its_objects(
    store: ObjectStore, bucket: str, limit: int
) -> None:
    for key in ["a", "m/1", "m/2", "m/x/3", "m.csv", "users/1", "users/2", "z"]:
        store.put(bucket, key, b"")
    keys, folders, after = list[str](), list[str](), ""
    while True:
        page = store.page(bucket, after=after, limit=limit, by_folder=True)
        assert len(page.objects) + len(page.folders) <= limit
        keys += [entry.key for entry in page.objects]
        folders += page.folders
        if page.next_after is None:
            break
        after = page.next_after
    assert (keys, folders) == (["a", "m.csv", "z"], ["m/", "users/"])


def test_a_page_says_when_it_was_listed_by_the_stores_clock(store: ObjectStore, bucket: str) -> None:
    result = put(store, bucket)
    page = store.page(bucket)
    assert timedelta(seconds=-2) < page.listed_at - result.last_modified < timedelta(seconds=5)
    assert result == ListedObject(bucket, "users/a.csv", result.etag, 7, result.last_modified)
    assert result.etag == hashlib.md5(b"content").hexdigest()
    assert abs(datetime.now(UTC) - result.last_modified) < timedelta(minutes=1)


def test_an_exact_name_is_not_found_by_its_beginning(store: ObjectStore, bucket: str) -> None:
    put(store, bucket, "users/a.csv.gz")
    assert store.find(bucket, "users/a.csv") is None


@pytest.mark.parametrize("key", ODD_KEYS)
def test_unusual_keys_are_imported_like_any_other(
    store: ObjectStore, bucket: str, archive: str, key: str
) -> None:
    result = put(store, bucket, key)
    assert result.key == key
    assert store.copy(result, archive, key)
    assert store.remove_if_unchanged(result)
    assert store.open(archive, key).read() == b"content"
    assert store.find(bucket, key) is None


def test_metadata_may_be_any_text_and_is_copied(store: ObjectStore, bucket: str, archive: str) -> None:
    metadata = {"mode": "upsert", "idempotency-key": " é 100%41\n/\U0001f600 "}
    store.put(bucket, "a", b"", metadata=metadata)
    result = store.find(bucket, "a")
    assert result is not None
    store.copy(result, archive, "b")
    assert store.head(archive, "b").metadata == metadata


def test_a_copy_is_refused_when_the_source_has_changed_or_gone(
    store: ObjectStore, bucket: str, archive: str
) -> None:
    old = put(store, bucket)
    new = put(store, bucket, content=b"other")
    assert not store.copy(old, archive, "copy")
    assert store.copy(new, archive, "copy")
    store.remove(bucket, new.key)
    assert not store.copy(new, archive, "copy")
    assert store.open(archive, "copy").read() == b"other"


def test_a_copy_to_a_bucket_that_is_missing_is_not_a_missing_source(store: ObjectStore, bucket: str) -> None:
    with pytest.raises(StoreRefusedError, match="NoSuchBucket"):
        store.copy(put(store, bucket), "no-such-bucket", "copy")


def test_large_objects_are_copied_in_parts_with_their_metadata(
    store: ObjectStore, bucket: str, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects_module, "MULTIPART_COPY_BYTES", 20 << 20)
    content = os.urandom(21 << 20)
    store.upload(bucket, "big", io.BytesIO(content), metadata={"mode": "é"})
    result = store.find(bucket, "big")
    assert result is not None
    assert store.copy(result, archive, "big")
    assert store.open(archive, "big").read() == content
    assert store.head(archive, "big").metadata == {"mode": "é"}
    put(store, bucket, "big", b"replaced")
    assert not store.copy(result, archive, "again")


def test_only_the_listed_object_is_removed(store: ObjectStore, bucket: str) -> None:
    old = put(store, bucket)
    put(store, bucket, content=b"other")
    assert not store.remove_if_unchanged(old)
    same = put(store, bucket, content=b"other")
    later = ListedObject(bucket, same.key, same.etag, 5, same.last_modified + timedelta(seconds=1))
    assert not store.remove_if_unchanged(later)
    assert store.remove_if_unchanged(same)
    assert not store.remove_if_unchanged(same)


def test_an_upload_is_streamed_in_parts_and_reports_progress(store: ObjectStore, bucket: str) -> None:
    content = os.urandom(20 << 20)
    sent: list[int] = []
    store.upload(bucket, "big", io.BytesIO(content), content_type="text/csv", progress=sent.append)
    assert sum(sent) == len(content)
    assert store.open(bucket, "big").read() == content


class BreakingFile(io.RawIOBase):
    """A file on a disk that fails after some parts."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # typeshed names a private type here
        if self._left <= 0:
            raise OSError("the disk broke")
        length = min(len(buffer), self._left)
        self._left -= length
        return length


def test_nothing_is_left_of_an_upload_that_breaks(
    store: ObjectStore, settings: Settings, bucket: str
) -> None:
    with pytest.raises(OSError, match="the disk broke"):
        store.upload(bucket, "big", io.BufferedReader(BreakingFile(30 << 20)))
    assert store.find(bucket, "big") is None
    assert "Uploads" not in s3.connect(settings).list_multipart_uploads(Bucket=bucket)


def streaming(store: ObjectStore, bucket: str) -> AbstractContextManager[Sink]:
    return store.streaming(bucket, "made", content_type="text/csv")


def writing(store: ObjectStore, bucket: str) -> AbstractContextManager[Sink]:
    return store.writing(bucket, "made", content_type="text/csv", may_complete=lambda: None)


@pytest.mark.parametrize("making", [streaming, writing])
@pytest.mark.parametrize(
    "sizes",
    [[1, 0, 1], [4 << 20] * 10, [5 << 20] * 2, [1, 26 << 20], [(10 << 20) - 1, 1, 1]],
    ids=["small", "large", "no more than pieces", "several pieces at once", "a byte more than pieces"],
)
def test_an_object_written_in_pieces_appears_when_it_is_complete(
    store: ObjectStore,
    settings: Settings,
    bucket: str,
    making: Callable[[ObjectStore, str], AbstractContextManager[Sink]],
    sizes: list[int],
) -> None:
    pieces = [os.urandom(size) for size in sizes]
    with making(store, bucket) as writer:
        for piece in pieces:
            writer.write(piece)
        assert store.find(bucket, "made") is None
    assert store.open(bucket, "made").read() == b"".join(pieces)
    assert s3.connect(settings).head_object(Bucket=bucket, Key="made")["ContentType"] == "text/csv"


def test_of_nothing_no_object_comes(store: ObjectStore, bucket: str) -> None:
    with store.streaming(bucket, "made", content_type="text/csv"):
        pass
    assert store.find(bucket, "made") is None


@pytest.mark.parametrize("size", [1, 20 << 20], ids=["small", "large"])
def test_an_unfinished_object_leaves_nothing(
    store: ObjectStore, settings: Settings, bucket: str, size: int
) -> None:
    def break_off() -> None:
        with store.streaming(bucket, "made", content_type="text/csv") as writer:
            writer.write(bytes(size))
            raise OSError("the disk broke")

    with pytest.raises(OSError, match="the disk broke"):
        break_off()
    assert store.find(bucket, "made") is None
    assert "Uploads" not in s3.connect(settings).list_multipart_uploads(Bucket=bucket)


def test_a_large_object_that_is_whole_leaves_no_earlier_upload_of_it(
    store: ObjectStore, settings: Settings, bucket: str
) -> None:
    client = s3.connect(settings)
    for key in ("made", "other"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    with store.streaming(bucket, "made", content_type="text/csv") as writer:
        writer.write(bytes(20 << 20))
    assert [upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["other"]


def test_abandoned_uploads_are_removed(store: ObjectStore, settings: Settings, bucket: str) -> None:
    client = s3.connect(settings)
    for key in ("users/a", "é"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    assert store.abort_uploads(bucket, older_than=timedelta(hours=1)) == 0
    assert store.abort_uploads(bucket, "elsewhere/", older_than=timedelta(seconds=-5)) == 0
    assert store.abort_uploads(bucket, older_than=timedelta(seconds=-5)) == 2
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


class Breaking:
    """A client whose answers break off after some bytes, a given number of times."""

    def __init__(self, client: s3.Client, *, after: int, times: int) -> None:
        self._client = client
        self._after = after
        self._times = times
        self.ranges: list[str | None] = []

    def get_object(self, **kwargs: str) -> dict[str, Any]:
        self.ranges.append(kwargs.get("Range"))
        response = self._client.get_object(**kwargs)
        if self._times > 0:
            self._times -= 1
            response["Body"] = BreakingBody(response["Body"], self._after)
        return response


class BreakingBody:
    def __init__(self, body: StreamingBody, left: int) -> None:
        self._body = body
        self._left = left

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise ResponseStreamingError(error="connection reset")
        chunk = self._body.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._body.close()


def test_reading_continues_where_the_connection_broke(
    store: ObjectStore, settings: Settings, bucket: str
) -> None:
    content = os.urandom(5 << 20)
    store.upload(bucket, "big", io.BytesIO(content))
    client = Breaking(s3.connect(settings), after=3_000_001, times=1)
    assert open_object(client, bucket, "big", wait=lambda _: None).read() == content
    assert client.ranges == [None, "bytes=3000001-"]


def test_reading_that_never_gets_on_is_an_outage(store: ObjectStore, settings: Settings, bucket: str) -> None:
    put(store, bucket)
    waits: list[float] = []
    client = Breaking(s3.connect(settings), after=0, times=99)
    with pytest.raises(StoreUnavailableError, match="the connection broke at byte 0 of 7"):
        open_object(client, bucket, "users/a.csv", wait=waits.append).read()
    assert len(waits) == 6


def test_an_object_that_changes_while_it_is_read_is_refused(
    store: ObjectStore, settings: Settings, bucket: str
) -> None:
    put(store, bucket)
    client = Breaking(s3.connect(settings), after=3, times=1)
    stream = open_object(client, bucket, "users/a.csv", wait=lambda _: None)
    put(store, bucket, content=b"CONTENT")
    with pytest.raises(StoreRefusedError):
        stream.read()


def test_a_stream_can_seek(store: ObjectStore, bucket: str) -> None:
    content = os.urandom(3 << 20)
    store.put(bucket, "big", content)
    with store.open(bucket, "big") as stream:
        assert stream.read(3) == content[:3]
        assert stream.seek(-10, io.SEEK_END) == len(content) - 10
        assert stream.read() == content[-10:]
        stream.seek(2_000_000)
        assert stream.read(5) == content[2_000_000:2_000_005]


def test_an_empty_object_is_read_as_nothing(store: ObjectStore, bucket: str) -> None:
    put(store, bucket, content=b"")
    assert store.open(bucket, "users/a.csv").read() == b""


def test_an_object_that_is_missing_is_not_found(store: ObjectStore, bucket: str) -> None:
    for act in (store.head, store.open):
        with pytest.raises(NotFoundError, match=f"s3://{bucket}/nothing does not exist"):
            act(bucket, "nothing")


def test_a_presigned_url_can_be_read_without_credentials(store: ObjectStore, bucket: str) -> None:
    put(store, bucket, "a b/é.csv")
    url = store.presigned_url(bucket, "a b/é.csv", file_name="errors é.csv")
    assert "X-Amz-Signature" in url
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"content"
        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''errors%20%C3%A9.csv"


@pytest.mark.parametrize(
    ("signed", "altered"),
    [
        ("mine.csv?", "other.csv?"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        ("response-content-disposition=", "response-content-disposition=inline"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
def test_a_presigned_url_is_valid_for_its_object_only(
    store: ObjectStore, bucket: str, signed: str, altered: str
) -> None:
    for key in ("mine.csv", "other.csv"):
        put(store, bucket, key)
    url = store.presigned_url(bucket, "mine.csv", seconds=3600, file_name="mine.csv")
    assert signed in url
    assert refusal(url.replace(signed, altered)) == 403


def test_a_presigned_url_is_for_reading(store: ObjectStore, bucket: str) -> None:
    put(store, bucket, "mine.csv")
    url = store.presigned_url(bucket, "mine.csv")
    assert [refusal(url, method) for method in ("PUT", "DELETE")] == [403, 403]
    assert [entry.key for entry in store.page(bucket).objects] == ["mine.csv"]


def test_a_presigned_url_ends(store: ObjectStore, bucket: str) -> None:
    put(store, bucket, "mine.csv")
    url = store.presigned_url(bucket, "mine.csv", seconds=1)
    until = time.monotonic() + 30
    while (status := refusal(url)) is None and time.monotonic() < until:
        time.sleep(0.2)
    assert status == 403


def refusal(url: str, method: str = "GET") -> int | None:
    """Return the status of the refusal, or None."""
    body = b"changed" if method == "PUT" else None
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, method=method)).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return None


def test_buckets_are_made_once(store: ObjectStore, bucket: str) -> None:
    store.ensure_buckets(bucket, f"{bucket}-2")
    store.ensure_buckets(bucket, f"{bucket}-2")
    assert store.page(f"{bucket}-2").objects == ()


@pytest.fixture
def changed(settings: Settings, request: pytest.FixtureRequest) -> ObjectStore:
    """Return a store with other settings."""
    return ObjectStore(settings.model_copy(update=request.param))


def test_work_files_in_s3_get_their_bucket_too(settings: Settings, s3_client: s3.Client, bucket: str) -> None:
    place = S3Folder(f"{bucket}-work", "eu/runs")
    create_buckets(settings.model_copy(update={"bulk_work_dir": place}))
    assert s3_client.head_bucket(Bucket=place.bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("changed", [{"s3_endpoint_url": "http://127.0.0.1:1"}], indirect=True)
def test_a_server_that_is_away_is_an_outage(changed: ObjectStore, store: ObjectStore, bucket: str) -> None:
    result = put(store, bucket)
    for act in (
        lambda: changed.page(bucket),
        lambda: changed.head(bucket, result.key),
        lambda: changed.open(bucket, result.key),
        lambda: changed.copy(result, bucket, "b"),
        lambda: changed.remove_if_unchanged(result),
        lambda: changed.put(bucket, "b", b""),
        lambda: changed.upload(bucket, "b", io.BytesIO(b"x")),
    ):
        with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
            act()


@pytest.mark.parametrize("changed", [{"s3_access_key": "somebody"}], indirect=True)
def test_wrong_keys_are_a_wrong_setting(changed: ObjectStore, bucket: str) -> None:
    with pytest.raises(SettingsError, match="S3_ACCESS_KEY"):
        changed.page(bucket)
