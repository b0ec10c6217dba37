"""Variants of real S3: a prefix in a shared bucket, hosts per bucket, encryption, keys from the credential chain."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.buckets import buckets_by_use, create_buckets, s3_answers
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.pipeline import Pipeline


@pytest.fixture
def settings(settings: Settings, buckets: dict[str, str]) -> Settings:
    """Settings with all four places in one bucket, beside objects of others."""
    shared = f"{buckets['uploads']}/team-a"
    places = {f"s3_bucket_{use}": f"{shared}/{use}" for use in buckets}
    return settings.model_copy(update=places)


def test_a_file_goes_its_way_inside_prefixes_of_one_bucket(
    pipeline: Pipeline, settings: Settings, s3_client: s3.Client
) -> None:
    bucket = settings.s3_bucket_uploads.partition("/")[0]
    s3_client.put_object(Bucket=bucket, Key="team-b/users/theirs.csv", Body=b"x")
    job = pipeline.load("users/upsert/ours.csv", b"email,name,role\na@b.de,A,admin\nnone,B,admin\n")
    assert (job.table, job.mode, job.status) == ("users", "upsert", "completed_with_errors")
    assert pipeline.report(job, "errors.csv").startswith(b"row,error,raw")
    assert pipeline.inbox() == []
    keys = {entry["Key"] for entry in s3_client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == {
        "team-b/users/theirs.csv",
        f"team-a/archive/{job.archive_key}",
        *(f"team-a/reports/{key}" for key in job.reports.values()),
    }


def test_a_place_is_no_other_that_begins_like_it(settings: Settings, s3_client: s3.Client) -> None:
    store, place = ObjectStore(settings), settings.s3_bucket_uploads
    bucket, _, prefix = place.partition("/")
    s3_client.put_object(Bucket=bucket, Key=f"{prefix}/", Body=b"")  # a folder marker
    s3_client.put_object(Bucket=bucket, Key=f"{prefix}-2/a", Body=b"")
    store.put(place, "a", b"1")
    assert [entry.key for entry in store.page(place, limit=1).objects] == ["a"]
    assert [entry.key for entry in store.page(place).objects] == ["a"]
    assert store.find(place, "a") == store.page(place).objects[0]
    assert store.page(place, after="a").objects == ()
    store.put(place, "users/b", b"1")
    level = store.page(place, limit=2, by_folder=True)
    assert ([entry.key for entry in level.objects], level.folders, level.next_after) == (
        ["a"],
        ("users/",),
        None,
    )
    s3_client.delete_object(Bucket=bucket, Key=f"{prefix}/")  # the marker, for which one more is asked for
    level = store.page(place, limit=1, by_folder=True)
    assert ([entry.key for entry in level.objects], level.folders, level.next_after) == (["a"], (), "a")
    with store.open(place, "a") as stream:
        assert stream.read() == b"1"


def test_uploads_of_others_in_the_bucket_are_left_alone(settings: Settings, s3_client: s3.Client) -> None:
    store, place = ObjectStore(settings), settings.s3_bucket_exports
    bucket, _, prefix = place.partition("/")
    for key in ("team-b/big", f"{prefix}/big"):
        s3_client.create_multipart_upload(Bucket=bucket, Key=key)
    assert store.abort_uploads(place, older_than=timedelta(seconds=-60)) == 1
    left = s3_client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["team-b/big"]


def test_large_objects_move_between_places(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_pipeline.s3.objects.MULTIPART_COPY_BYTES", 20 << 20)
    store = ObjectStore(settings)
    content = b"x" * (21 << 20)
    with store.writing(
        settings.s3_bucket_uploads, "big", content_type="text/csv", may_complete=lambda: None
    ) as writer:
        writer.write(content)
    result = store.find(settings.s3_bucket_uploads, "big")
    assert result is not None
    assert store.copy(result, settings.s3_bucket_archive, "big")
    assert store.remove_if_unchanged(result)
    assert store.head(settings.s3_bucket_archive, "big").size_bytes == len(content)
    assert store.remove_folder(settings.s3_bucket_archive, "", first="big") == 1


def test_the_bucket_around_the_places_is_made(settings: Settings, s3_client: s3.Client) -> None:
    bucket = f"new-{settings.s3_bucket_uploads.partition('/')[0]}"
    create_buckets(
        settings.model_copy(
            update={f"s3_bucket_{use}": f"{bucket}/{use}" for use in buckets_by_use(settings)}
        )
    )
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("given", "host", "path"),
    [
        ({}, "lake.s3.amazonaws.com", "/a/k"),
        ({"s3_region": "eu-central-1"}, "lake.s3.eu-central-1.amazonaws.com", "/a/k"),
        ({"s3_addressing_style": "path"}, "s3.amazonaws.com", "/lake/a/k"),
        ({"s3_endpoint_url": "https://s3.example.org"}, "s3.example.org", "/lake/a/k"),
        (
            {"s3_endpoint_url": "https://s3.example.org", "s3_addressing_style": "virtual"},
            "lake.s3.example.org",
            "/a/k",
        ),
    ],
)
def test_the_bucket_is_in_the_host_name_or_in_the_path(given: dict[str, str], host: str, path: str) -> None:
    keys = {"s3_access_key": "a", "s3_secret_key": "b"}
    store = ObjectStore(Settings.model_validate({"database_url": "x", **keys, **given}))
    url = urlsplit(store.presigned_url("lake/a", "k"))
    assert (url.netloc, url.path) == (host, path)


def test_every_write_asks_for_encryption(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This server has no key service: the parameter is recorded, and removed, before a request is sent."""
    requests = list[tuple[str, str, str]]()

    def note(model: Any, params: dict[str, Any], **_: object) -> None:  # boto3's classes have no types
        headers = params["headers"]
        if "x-amz-server-side-encryption" in headers:
            kind = headers.pop("x-amz-server-side-encryption")
            requests.append((model.name, kind, headers.pop("x-amz-server-side-encryption-aws-kms-key-id")))

    client = s3.connect(settings.model_copy(update={"s3_sse": "aws:kms", "s3_sse_kms_key_id": "key-1"}))
    client.meta.events.register("before-call.s3", note)
    monkeypatch.setattr(s3, "connect", lambda _: client)
    monkeypatch.setattr("bulk_pipeline.s3.objects.MULTIPART_COPY_BYTES", 6 << 20)
    store, place = ObjectStore(settings), settings.s3_bucket_uploads

    store.put(place, "small", b"1")
    store.upload(place, "large", io.BytesIO(b"x" * (9 << 20)))
    with store.writing(place, "made", content_type="text/csv", may_complete=lambda: None) as writer:
        writer.write(b"1")
    for key in ("small", "large"):
        result = store.find(place, key)
        assert result is not None
        assert store.copy(result, settings.s3_bucket_archive, key)

    writes = [
        "PutObject",
        "CreateMultipartUpload",
        "CreateMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
    ]
    assert requests == [(write, "aws:kms", "key-1") for write in writes]


def test_without_keys_those_of_the_machine_are_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS' credential chain: environment, files, then the role of the task or the instance."""
    assert settings.s3_secret_key is not None
    file = tmp_path / "credentials"
    secret = settings.s3_secret_key.get_secret_value()
    file.write_text(
        f"[default]\naws_access_key_id={settings.s3_access_key}\naws_secret_access_key={secret}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    s3._session.cache_clear()
    keyless = settings.model_copy(update={"s3_access_key": None, "s3_secret_key": None})
    try:
        assert s3_answers(keyless)
    finally:
        s3._session.cache_clear()
