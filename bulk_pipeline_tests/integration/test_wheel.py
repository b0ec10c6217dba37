"""The wheel has all that an installation needs: it works where there is no checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bulk_pipeline.postgres.migrations import migrations, sql_folder

ROOT = Path(__file__).parents[2]
CALL = "import sys; from bulk_pipeline.cli import main; sys.argv[0] = 'bulk-pipeline'; main()"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    hatchling = Path(sys.executable).with_name("hatchling")
    subprocess.run(
        [hatchling, "build", "-t", "wheel", "-d", folder], cwd=ROOT, capture_output=True, check=True
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "installed")
    return folder / "installed"


def run(unpacked: Path, folder: Path, *arguments: str, code: str = CALL) -> str:
    """Run Python on the files of the wheel, in a folder; return what it prints."""
    environ = {"PYTHONPATH": str(unpacked), "PATH": str(Path(sys.executable).parent), "HOME": str(folder)}
    command = [sys.executable, "-c", code, *arguments]
    found = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_project_is_made_and_served_from_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    where = "import bulk_pipeline; print(bulk_pipeline.__file__)"
    assert run(unpacked, tmp_path, code=where).startswith(str(unpacked))
    assert "created shop/tables/products.yaml" in run(unpacked, tmp_path, "init", "shop")
    assert run(unpacked, tmp_path / "shop", "tables", "--template", "csv", "products") == (
        "sku,title,state,listed_at\n"
    )


def test_the_migrations_are_in_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "from bulk_pipeline.postgres.migrations import *; print(*(m.name for m in migrations(sql_folder())))"
    )
    assert run(unpacked, tmp_path, code=code).split() == [file.name for file in migrations(sql_folder())]
