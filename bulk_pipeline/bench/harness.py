"""The stack of a benchmark: started in a temporary folder, and removed afterwards, also after an error."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bulk_pipeline import stack
from bulk_pipeline.bench import database
from bulk_pipeline.bench.lower_bound import Psql
from bulk_pipeline.errors import StackError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import NO_PROJECT, Settings, read_settings
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.home import Record
from bulk_pipeline.stack.postgres import Cluster

_TUNING = "bulk_"
_NOT_OURS = {"BULK_HOME", "BULK_WORK_DIR", "BULK_SCRATCH_DIR"}


@dataclass(frozen=True)
class Rig:
    """A running stack. `folder`: for files. `cluster`: the stack's Postgres."""

    folder: Path
    home: Path
    stores: Stores
    cluster: Cluster

    @property
    def url(self) -> str:
        return self.cluster.url()

    @property
    def dagster_url(self) -> str:
        return str(self.stores.settings.dagster_url)

    @property
    def api_url(self) -> str:
        return str(self.stores.settings.api_url)

    @property
    def psql(self) -> Psql:
        return Psql(self.cluster)

    @property
    def settings_given(self) -> dict[str, str]:
        """Return the values with which another process can create the same settings."""
        return {name.lower(): value for name, value in stack.environment(self.home).items()}

    @property
    def record(self) -> Record:
        return homes.read(homes.at(self.home))

    def service(self, name: str) -> psutil.Process:
        """Return a process of the stack. Raises `StackError` if it is not running."""
        started = self.record.services.get(name)
        process = started.find() if started else None
        if process is None:
            raise StackError(f"{name} is no longer running: see {homes.at(self.home).log(name)}")
        return process


@contextmanager
def rig(environ: Mapping[str, str] = os.environ, project: Path | None = None) -> Iterator[Rig]:
    """Run a separate stack, which serves the tables of a project and creates them by its SQL files.

    Servers in `environ` are ignored, because a benchmark empties tables.
    """
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-bench-"))
    folder.chmod(0o711)  # for `nobody`, who runs Postgres if root owns the stack
    home = folder / "stack"
    try:
        served = {"BULK_PROJECT": str(project or NO_PROJECT)}
        stack.up(home, detach=True, environ=without_servers(environ) | served)
        stores = Stores(_settings(home))
        try:
            running = Rig(folder, home, stores, _cluster(home))
            if project is not None:
                database.execute(running.url, *(file.read_text() for file in sorted(project.glob("*.sql"))))
            yield running
        finally:
            stores.close()
    finally:
        stack.down(home, purge=True)
        shutil.rmtree(folder, ignore_errors=True)


def without_servers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without servers and folders. Settings that tune the pipeline are kept."""
    foreign = {name.upper() for name in Settings.model_fields if not name.startswith(_TUNING)} | _NOT_OURS
    return {name: value for name, value in environ.items() if name not in foreign}


def _settings(home: Path) -> Settings:
    return read_settings(**{name.lower(): value for name, value in stack.environment(home).items()})


def _cluster(home: Path) -> Cluster:
    place = homes.at(home)
    record = homes.read(place)
    return Cluster(place.postgres.resolve(), record.ports["postgres"], record.secrets["postgres"])
