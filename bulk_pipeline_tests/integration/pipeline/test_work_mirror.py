"""Work files in the bucket are complete, separate by owner, and can be removed."""

from pathlib import Path
from uuid import uuid4

import pytest

from bulk_pipeline.errors import NotFoundError, StoreUnavailableError
from bulk_pipeline.pipeline.work_mirror import WorkMirror
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stack.ports import free_port

LARGE = bytes(range(256)) * 80_000
"""A content of several parts."""


@pytest.fixture(params=["", "eu/runs"], ids=["whole bucket", "prefix"])
def place(request: pytest.FixtureRequest, s3_client: s3.Client) -> S3Folder:
    bucket = f"work-{uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=bucket)
    return S3Folder(bucket, request.param)


@pytest.fixture
def mirror(settings: Settings, place: S3Folder) -> WorkMirror:
    return WorkMirror(ObjectStore(settings), place)


def push(mirror: WorkMirror, folder: Path, *references: str, content: bytes = b"content") -> None:
    file = folder / "file"
    file.write_bytes(content)
    for reference in references:
        mirror.push(reference, file)


def keys(client: s3.Client, place: S3Folder) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=place.bucket).get("Contents", [])]


@pytest.mark.parametrize("content", [b"", b"content", LARGE], ids=["empty", "small", "large"])
def test_a_file_comes_back_as_it_went(mirror: WorkMirror, tmp_path: Path, content: bytes) -> None:
    push(mirror, tmp_path, "job/1/rows.arrow", content=content)
    mirror.pull("job/1/rows.arrow", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_a_file_that_is_not_there_is_not_found(mirror: WorkMirror, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        mirror.pull("job/1/rows.arrow", tmp_path / "copy")


def test_an_owners_files_are_removed_and_no_others(
    mirror: WorkMirror, place: S3Folder, s3_client: s3.Client, tmp_path: Path
) -> None:
    push(mirror, tmp_path, "job/1/rows.arrow", "job/2/rows.arrow", "job-2/1/rows.arrow", "other/1/rows.arrow")
    mirror.remove("job")
    mirror.remove("job")
    assert keys(s3_client, place) == [place.key("job-2/1/rows.arrow"), place.key("other/1/rows.arrow")]


def test_an_owner_is_as_old_as_its_newest_file(
    mirror: WorkMirror, place: S3Folder, s3_client: s3.Client, tmp_path: Path
) -> None:
    s3_client.put_object(Bucket=place.bucket, Key="elsewhere/a", Body=b"")
    push(mirror, tmp_path, "job/1/rows.arrow", "other/split.json")
    ages = mirror.ages()
    assert set(ages) - {"elsewhere"} == {"job", "other"}
    assert max(ages.values()) < 60


def test_an_outage_is_no_missing_file(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
    mirror = WorkMirror(ObjectStore(nowhere), S3Folder("work"))
    with pytest.raises(StoreUnavailableError):
        push(mirror, tmp_path, "job/1/rows.arrow")
    with pytest.raises(StoreUnavailableError):
        mirror.pull("job/1/rows.arrow", tmp_path / "copy")
    with pytest.raises(StoreUnavailableError):
        mirror.remove("job")
    with pytest.raises(StoreUnavailableError):
        mirror.ages()
