"""Each server is that of the environment, else that of the running stack."""

import os
from pathlib import Path

import pytest

from bulk_pipeline.cli.connection import settings_of
from bulk_pipeline.errors import StackError
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.home import Record, Started

STACK = {
    "DATABASE_URL": "postgresql://stack",
    "S3_ENDPOINT_URL": "http://stack:9000",
    "S3_ACCESS_KEY": "stack",
    "S3_SECRET_KEY": "stack-secret",
    "S3_BUCKET_UPLOADS": "stack-uploads",
    "DAGSTER_URL": "http://stack:3000",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a running stack."""
    place = homes.at(tmp_path / "home")
    homes.make(place)
    homes.write(place, Record(supervisor=Started.of(os.getpid()), environment=STACK, ready=True))
    return tmp_path / "home"


def servers(settings: Settings) -> tuple[str, str | None, str | None, str | None, str]:
    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None
    return (
        settings.database_url.get_secret_value(),
        settings.s3_endpoint_url,
        settings.s3_access_key,
        secret,
        settings.s3_bucket_uploads,
    )


OF_STACK = ("http://stack:9000", "stack", "stack-secret", "stack-uploads")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("postgresql://stack", *OF_STACK)),
        ({"DATABASE_URL": ""}, ("postgresql://stack", *OF_STACK)),
        ({"DATABASE_URL": "postgresql://mine"}, ("postgresql://mine", *OF_STACK)),
        (
            {"S3_ENDPOINT_URL": "http://mine", "S3_ACCESS_KEY": "me", "S3_SECRET_KEY": "mine"},
            ("postgresql://stack", "http://mine", "me", "mine", "uploads"),
        ),
        (
            {"S3_ACCESS_KEY": "me", "S3_SECRET_KEY": "mine", "S3_BUCKET_UPLOADS": "my-uploads"},
            ("postgresql://stack", None, "me", "mine", "my-uploads"),
        ),
        (
            {"DATABASE_URL": "postgresql://mine", "S3_ENDPOINT_URL": "http://mine"},
            ("postgresql://mine", "http://mine", None, None, "uploads"),
        ),
    ],
    ids=str,
)
def test_the_environment_wins_server_by_server(
    home: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: tuple[str, ...]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert servers(settings_of(home)) == expected


def test_addresses_of_the_stack_stay_known_beside_a_database_of_ones_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://mine")
    assert settings_of(home).dagster_url == "http://stack:3000"


def test_a_database_is_enough_where_no_stack_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://mine")
    assert servers(settings_of(tmp_path)) == ("postgresql://mine", None, None, None, "uploads")


@pytest.mark.parametrize("name", ["S3_ENDPOINT_URL", None])
def test_without_a_database_a_stack_must_be_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    if name:
        monkeypatch.setenv(name, "http://mine")
    with pytest.raises(StackError, match="no stack is running"):
        settings_of(tmp_path)
