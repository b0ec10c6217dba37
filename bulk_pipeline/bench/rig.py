"""The stack that a benchmark runs on: started for it in a temporary folder, removed afterwards, whatever happens."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bulk_pipeline import stack
from bulk_pipeline.bench.floor import Psql
from bulk_pipeline.errors import StackError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings, read_settings
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.home import Record
from bulk_pipeline.stack.postgres import Cluster

_TUNING = "bulk_"
_NOT_OURS = {"BULK_HOME", "BULK_WORK_DIR", "BULK_SCRATCH_DIR"}


@dataclass(frozen=True)
class Rig:
    """`folder`: for files. `cluster`: the stack's Postgres."""

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
        """What another process needs to make the same settings."""
        return {name.lower(): value for name, value in stack.environment(self.home).items()}

    @property
    def record(self) -> Record:
        return homes.read(homes.at(self.home))

    def service(self, name: str) -> psutil.Process:
        """A process of the stack. `StackError` if it does not run."""
        started = self.record.services.get(name)
        process = started.find() if started else None
        if process is None:
            raise StackError(f"{name} does not run any more: see {homes.at(self.home).log(name)}")
        return process


@contextmanager
def rig(environ: Mapping[str, str] = os.environ) -> Iterator[Rig]:
    """A stack of our own. What `environ` says of servers is not heeded: a benchmark empties tables."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-bench-"))
    folder.chmod(0o711)  # for `nobody`, who runs Postgres for root
    home = folder / "stack"
    try:
        stack.up(home, detach=True, environ=without_servers(environ))
        stores = Stores(_settings(home))
        try:
            yield Rig(folder, home, stores, _cluster(home))
        finally:
            stores.close()
    finally:
        stack.down(home, purge=True)
        shutil.rmtree(folder, ignore_errors=True)


def without_servers(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without anybody's servers and folders; what tunes the pipeline stays."""
    foreign = {name.upper() for name in Settings.model_fields if not name.startswith(_TUNING)} | _NOT_OURS
    return {name: value for name, value in environ.items() if name not in foreign}


def _settings(home: Path) -> Settings:
    return read_settings(**{name.lower(): value for name, value in stack.environment(home).items()})


def _cluster(home: Path) -> Cluster:
    place = homes.at(home)
    record = homes.read(place)
    return Cluster(place.postgres.resolve(), record.ports["postgres"], record.secrets["postgres"])
