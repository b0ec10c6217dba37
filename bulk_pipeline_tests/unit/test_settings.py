"""What the environment may say."""

from pathlib import Path

import pytest

from bulk_pipeline.errors import SettingsError
from bulk_pipeline.settings import S3Folder, Settings, read_settings


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("/var/lib/work", Path("/var/lib/work")),
        ("work", Path("work")),
        ("s3://bulk-work", S3Folder("bulk-work")),
        ("s3://bulk-work/", S3Folder("bulk-work")),
        ("s3://bulk-work/eu/runs/", S3Folder("bulk-work", "eu/runs")),
        ("s3://bulk-work//runs", S3Folder("bulk-work", "runs")),
    ],
)
def test_work_files_lie_in_a_folder_or_under_a_prefix_in_s3(
    monkeypatch: pytest.MonkeyPatch, given: str, place: Path | S3Folder
) -> None:
    monkeypatch.setenv("BULK_WORK_DIR", given)
    assert read_settings().bulk_work_dir == place


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("s3://", "'s3://' is neither a folder nor s3://bucket/prefix"),
        ("s3:/bulk-work/runs", "neither a folder nor"),
        ("s3:///runs", "neither a folder nor"),
        ("s3://Bulk_Work/runs", "neither a folder nor"),
        ("gs://bulk-work/runs", "neither a folder nor"),
        ("s3://archive/runs", "in a bucket that holds other things: give work files their own"),
        ("s3://mine", "in a bucket that holds other things"),
    ],
)
def test_any_other_place_for_work_files_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str, problem: str
) -> None:
    monkeypatch.setenv("S3_BUCKET_UPLOADS", "mine")
    monkeypatch.setenv("BULK_WORK_DIR", given)
    with pytest.raises(SettingsError, match=f"BULK_WORK_DIR: .*{problem}"):
        read_settings()


@pytest.mark.parametrize("url", ["s3://bulk-work", "s3://bulk-work/eu/runs"])
def test_a_place_in_s3_is_written_as_it_is_read(url: str) -> None:
    place = Settings.model_validate({"database_url": "x", "bulk_work_dir": url}).bulk_work_dir
    assert str(place) == url


def test_keys_lie_under_the_prefix() -> None:
    assert S3Folder("bulk-work", "eu/runs").key("a/1") == "eu/runs/a/1"
    assert S3Folder("bulk-work").key("a/1") == "a/1"
