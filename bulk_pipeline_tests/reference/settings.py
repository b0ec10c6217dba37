"""docs/reference/settings.md: every environment variable, from the settings."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bulk_pipeline.settings import (
    ApiSettings,
    LaunchSettings,
    ProjectSettings,
    S3Settings,
    Settings,
    UploadSettings,
)
from bulk_pipeline_tests.reference.markdown import escaped, table

_TITLE = """# Settings

Settings are environment variables: this page has all of them, made from the code by `make reference`. An empty variable counts
as not set. Durations in `…_SECONDS`, `…_HOURS` and `…_DAYS` may have fractions.

[.env.example](../../.env.example) has the settings that a deployment needs. Without `DATABASE_URL` and `S3_ENDPOINT_URL`,
`bulk-pipeline up` starts embedded servers, and commands use those of the running stack.

If runs can move to other machines, set `BULK_WORK_DIR` to `s3://…`, in a bucket of its own. Every step then also stores its
files there, and a step that is repeated elsewhere fetches the files of earlier steps. They are deleted when the job is finished.
"""
_SECTIONS = {
    "The project": ProjectSettings,
    "The HTTP API and the pages for the office": ApiSettings,
    "Limits of an upload": UploadSettings,
    "The S3 server": S3Settings,
    "Dagster's processes": LaunchSettings,
}
_OWN = "Postgres, the places of files, imports and exports"
"""The section of settings that stand in `Settings` itself."""


def document() -> str:
    """Return the page."""
    sections = {_OWN: list(_own()), **{title: list(kind.model_fields) for title, kind in _SECTIONS.items()}}
    parts = [_TITLE]
    for title, names in sections.items():
        rows = [_row(name, Settings.model_fields[name]) for name in names]
        parts.append(f"\n## {title}\n\n{table(('variable', 'default', 'meaning'), rows)}")
    parts.append(f"\n## The command line\n\n{table(('variable', 'default', 'meaning'), [_HOME])}")
    return "".join(parts)


_HOME = ("`BULK_HOME`", "`.bulk`", "folder of the stack; the option `--home` takes precedence")


def _own() -> Iterator[str]:
    elsewhere = {name for kind in _SECTIONS.values() for name in kind.model_fields}
    return (name for name in Settings.model_fields if name not in elsewhere)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    return (f"`{name.upper()}`", _default(field), escaped(field.description or ""))


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined:
        return "none; it must be set"
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"
