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
METRICS = {
    name
    for module in ("metrics.py", "ledger_metrics.py")
    for name in re.findall(r'"(bulk_[a-z_]+)"', (ROOT / "bulk_pipeline" / "api" / module).read_text())
}
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
def test_every_option_is_explained(name: str) -> None:
    assert [one.name for one in COMMANDS[name].params if not getattr(one, "help", None)] == []


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_explained(name: str) -> None:
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_documented(name: str) -> None:
    assert re.search(rf"`{name}(_total|_info|_process_…)?`", (ROOT / "docs" / "alerts.md").read_text())


@pytest.mark.parametrize("name", tables.names())
def test_every_table_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "rows.md").read_text()


def test_every_setting_of_the_example_exists() -> None:
    names = re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    known = {name.upper() for name in Settings.model_fields} | {*compose.variables(), "COMPOSE_PROFILES"}
    assert set(names) <= known
