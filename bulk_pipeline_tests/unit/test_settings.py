"""Settings from the environment."""

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
        ("s3://archive/runs", "overlaps the place of other files: choose a separate one"),
        ("s3://shared/team-a", "overlaps the place of other files"),
        ("s3://shared/team-a/reports/work", "overlaps the place of other files"),
        ("s3://mine", "overlaps the place of other files"),
    ],
)
def test_any_other_place_for_work_files_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str, problem: str
) -> None:
    monkeypatch.setenv("S3_BUCKET_UPLOADS", "mine")
    monkeypatch.setenv("S3_BUCKET_REPORTS", "shared/team-a/reports")
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


def test_work_files_may_lie_beside_the_places_in_a_shared_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_BUCKET_UPLOADS", "/shared/team-a/uploads/")
    monkeypatch.setenv("BULK_WORK_DIR", "s3://shared/team-a/work")
    settings = read_settings()
    assert settings.s3_bucket_uploads == "shared/team-a/uploads"
    assert settings.bulk_work_dir == S3Folder("shared", "team-a/work")


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"S3_BUCKET_ARCHIVE": "uploads"}, "S3_BUCKET_UPLOADS and S3_BUCKET_ARCHIVE overlap"),
        ({"S3_BUCKET_ARCHIVE": "uploads/done"}, "S3_BUCKET_UPLOADS and S3_BUCKET_ARCHIVE overlap"),
        ({"S3_BUCKET_UPLOADS": "a//b"}, "S3_BUCKET_UPLOADS: .*neither a bucket nor bucket/prefix"),
        ({"S3_BUCKET_UPLOADS": "/"}, "S3_BUCKET_UPLOADS: .*neither a bucket nor bucket/prefix"),
        ({"S3_SSE_KMS_KEY_ID": "k"}, "requires S3_SSE=aws:kms"),
        ({"S3_SECRET_KEY": "CHANGE_ME_secret"}, "S3_SECRET_KEY: .*still contains the placeholder CHANGE_ME"),
        (
            {"DATABASE_URL": "postgresql://u:CHANGE_ME_x@h/d"},
            "DATABASE_URL: .*still contains the placeholder",
        ),
        ({"API_JWT_SECRET": "CHANGE_ME"}, "API_JWT_SECRET: .*still contains the placeholder"),
    ],
)
def test_invalid_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], problem: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=problem) as refused:
        read_settings()
    assert "CHANGE_ME_" not in str(refused.value)


def test_places_that_only_begin_alike_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_BUCKET_UPLOADS", "shared/in")
    monkeypatch.setenv("S3_BUCKET_ARCHIVE", "shared/in-archive")
    assert read_settings().s3_bucket_archive == "shared/in-archive"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "")
    monkeypatch.setenv("S3_ACCESS_KEY", "")
    monkeypatch.setenv("BULK_BATCH_ROWS", "")
    settings = read_settings()
    assert (settings.s3_endpoint_url, settings.s3_access_key, settings.bulk_batch_rows) == (
        None,
        None,
        50_000,
    )


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("API_PORT", "abc", "API_PORT: 'abc' is wrong; expected a whole number"),
        ("API_PORT", "99999", "API_PORT: '99999' is wrong; expected at most 65535"),
        ("METRICS_PORT", "0", "METRICS_PORT: '0' is wrong; expected at least 1"),
        ("METRICS_PORT", "8080", "METRICS_PORT and API_PORT are both 8080: choose different ports"),
        ("BULK_LEASE_SECONDS", "soon", "BULK_LEASE_SECONDS: 'soon' is wrong; expected a number"),
        ("BULK_LEASE_SECONDS", "0", "BULK_LEASE_SECONDS: '0' is wrong; expected more than 0"),
        ("API_TOKEN_REQUIRED", "perhaps", "API_TOKEN_REQUIRED: 'perhaps' is wrong; expected true or false"),
        ("S3_SSE", "rot13", "S3_SSE: 'rot13' is wrong; expected 'AES256' or 'aws:kms'"),
        ("S3_BUCKET_UPLOADS", "a//b", "S3_BUCKET_UPLOADS: 'a//b' is neither a bucket nor bucket/prefix"),
        ("DATABASE_URL", "",
         "DATABASE_URL is not set; expected Postgres, as postgresql://user:password@host:port/database"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_one_sentence_with_its_value_and_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert str(refused.value) == sentence


def test_ports_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().fetch_ports == {80, 443}
    monkeypatch.setenv("API_FETCH_PORTS", " 8080, 443,")
    settings = read_settings()
    assert (settings.fetch_ports, settings.api_fetch_ports) == ({8080, 443}, "8080,443")


@pytest.mark.parametrize("ports", ["http", "0", "65536", "80;443", ",", "-1", "8" * 9999])
def test_an_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch, ports: str) -> None:
    monkeypatch.setenv("API_FETCH_PORTS", ports)
    with pytest.raises(SettingsError, match=r"API_FETCH_PORTS: .* is not a port: write ports like 80,443"):
        read_settings()
