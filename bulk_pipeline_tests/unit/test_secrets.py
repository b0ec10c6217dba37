"""No message and no repr contains a password, key or token, since tracebacks and logs may show both."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import traceback
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, SecretStr

import bulk_pipeline
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.postgres.connection import host
from bulk_pipeline.settings import Settings

SECRET = re.compile(r"password|secret|^token$|database_url|environment|^url$")


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(bulk_pipeline.__path__, "bulk_pipeline."):
        if module.name.endswith("__main__"):
            continue
        for _, entry in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if entry.__module__ == module.name:
                yield entry


def shown(cls: type) -> Iterator[str]:
    """Return the fields that a repr shows unchanged."""
    if dataclasses.is_dataclass(cls):
        yield from (field.name for field in dataclasses.fields(cls) if field.repr)
    elif issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            if field.repr and field.annotation not in (SecretStr, SecretStr | None):
                yield name


def test_no_repr_shows_a_secret() -> None:
    secrets = [(cls.__qualname__, name) for cls in classes() for name in shown(cls) if SECRET.search(name)]
    assert secrets == []


def test_settings_hide_what_they_hold() -> None:
    settings = Settings.model_validate({"database_url": "postgresql://u:hush@h/d", "s3_secret_key": "hush"})
    assert "hush" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:se%zzhush@h/db",
        "postgresql://u:pa/hush@h:1/db",
        "postgresql://u:p@hush@h/db",
        "host=h password='hush",
        "hush",
    ],
)
def test_a_password_with_unescaped_characters_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="percent-encoded") as raised:
        host(url)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40ss@db.example.com:6432/d", "db.example.com:6432"),
        ("postgresql://u:pa?hush@h/db", "h:5432"),
        ("postgresql://u:pa#hush@h/db", "h:5432"),
        ("postgresql://u:p:hush@h/db", "h:5432"),
        ("postgresql://u:[hush@h/db", "h:5432"),
        ("postgresql:///d", "localhost:5432"),
        ("postgresql://u@h1:1,h2:2/d", "h1,h2:1,2"),
        ("host=/run/postgresql dbname=d", "/run/postgresql:5432"),
    ],
)
def test_the_host_is_shown(url: str, expected: str) -> None:
    assert host(url) == expected
