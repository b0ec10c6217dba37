"""`init` writes a project that works, and never over a file of somebody."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulk_pipeline.cli.init import init, project_files
from bulk_pipeline.settings import Settings
from bulk_pipeline.tables import TableRegistry
from bulk_pipeline_tests.rigs import compose

VARIABLES = re.compile(r"\$\{([A-Z0-9_]+)")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    init(tmp_path / "My Shop")
    return tmp_path / "My Shop"


def services(folder: Path) -> dict[str, dict[str, Any]]:
    return yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]


def test_every_file_is_there_and_its_tables_can_be_served(shop: Path) -> None:
    paths = {str(path.relative_to(shop)) for path in shop.rglob("*") if path.is_file()}
    assert paths == {path for path, _ in project_files("shop")}
    assert paths >= {"tables/products.yaml", "rules.py", "README.md", ".env.example", "table.schema.json"}
    registry = TableRegistry(shop, list)
    assert (registry.names(), registry.problems()) == (("products",), ())


def test_what_exists_is_kept(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "rules.py").write_text("mine")
    (shop / "README.md").unlink()
    capsys.readouterr()
    init(shop)
    assert (shop / "rules.py").read_text() == "mine"
    lines = capsys.readouterr().out.splitlines()
    assert f"kept    {shop / 'rules.py'}" in lines
    assert f"created {shop / 'README.md'}" in lines


def test_its_own_test_passes(shop: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(shop),
        "tests",
    ]
    found = subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False)
    assert (found.returncode, "2 passed" in found.stdout) == (0, True), found.stdout


def test_its_compose_file_is_what_the_specification_says(shop: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", shop / "docker-compose.yml"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_its_services_are_started_like_those_of_the_hardened_file(shop: Path) -> None:
    hardened = yaml.safe_load(compose.FILE.read_text())["services"]
    ours = services(shop)
    for name in ("migrate", "code", "daemon", "webserver", "api"):
        assert ours[name]["command"] == hardened[name]["command"]
    for name in ("postgres", "objects", "buckets"):
        assert ours[name]["image"] == hardened[name]["image"]


def test_every_variable_of_its_compose_file_is_in_the_example_and_known(shop: Path) -> None:
    example = compose.env_file((shop / ".env.example").read_text())
    used = set(VARIABLES.findall((shop / "docker-compose.yml").read_text()))
    assert used == set(example)
    known = {name.upper() for name in Settings.model_fields} | {"POSTGRES_PASSWORD", "DAGSTER_POSTGRES_URL"}
    given = {name for service in services(shop).values() for name in service["environment"]}
    assert used <= known
    assert given - known == {"POSTGRES_DB", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"}
