"""Folders, settings, commands and documents of the project agree with each other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from bulk_pipeline import tables
from bulk_pipeline.cli.app import app
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs import compose

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GROUP = get_command(app)
COMMANDS = dict(GROUP.commands)  # pyright: ignore[reportAttributeAccessIssue]  # a group, as the app has many
COMMANDS |= {
    f"{group} {name}": command
    for group, found in COMMANDS.items()
    for name, command in getattr(found, "commands", {}).items()
}


def test_imports_point_one_way() -> None:
    contracts = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([contracts, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_an_example_of_itself(name: str) -> None:
    assert f"bulk-pipeline {name}" in str(COMMANDS[name].help).partition("Example:")[2]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_in_the_changelog_or_the_readme(name: str) -> None:
    assert f"`{name}`" in (ROOT / "CHANGELOG.md").read_text() or f"bulk-pipeline {name}" in README


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_readme(name: str) -> None:
    short = re.sub("^S3_BUCKET", "", name.upper())
    assert f"`{name.upper()}`" in README or f"`{short}`" in README


@pytest.mark.parametrize("name", tables.names())
def test_every_table_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "rows.md").read_text()


def test_every_setting_of_the_example_exists() -> None:
    names = re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    known = {name.upper() for name in Settings.model_fields} | {*compose.variables(), "COMPOSE_PROFILES"}
    assert set(names) <= known
