"""The embedded Postgres: one cluster in one folder, on a port of 127.0.0.1, with passwords.

Several can run at the same time. It stops when its owner dies; a crash loses no committed data.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bulk_pipeline.postgres import admin
from bulk_pipeline.stack import binaries
from bulk_pipeline.stack.account import Account, passable, unprivileged
from bulk_pipeline.stack.failures import program_failed
from bulk_pipeline.stack.leftovers import terminate, wait_gone, working_in
from bulk_pipeline.stack.ports import HOST
from bulk_pipeline.stack.process import Service

USER = "bulk"
DATABASE = "bulk"
PRIVATE_FOLDERS = Path("/var/lib/bulk-pipeline")

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Containers often have 64 MB in /dev/shm, less than a parallel hash join needs.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # the details of a conflict are rows
}
_INITDB_SECONDS = 120
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """A data folder, with port and password of its server. `version` is used when it is created."""

    folder: Path
    port: int
    password: str = field(repr=False)
    version: int = 18

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{database}"


def reserve_folder(wanted: Path) -> Path:
    """Return the folder for a cluster at `wanted`; create it if it does not exist.

    If root owns the stack and `nobody` cannot enter the parents, `wanted` becomes a link to a private folder elsewhere.
    """
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        wanted.unlink(missing_ok=True)  # a link to a folder that was removed
        if unprivileged() and not passable(wanted.parent):
            PRIVATE_FOLDERS.mkdir(parents=True, exist_ok=True)
            PRIVATE_FOLDERS.chmod(0o711)
            wanted.symlink_to(tempfile.mkdtemp(dir=PRIVATE_FOLDERS))
        else:
            wanted.mkdir()
        wanted.chmod(0o711 if unprivileged() else 0o700)
    return wanted.resolve()


def remove_folder(wanted: Path) -> None:
    """Remove the cluster at `wanted`, also if that is a link to a private folder."""
    target = wanted.resolve()
    if wanted.is_symlink():
        wanted.unlink()
    shutil.rmtree(target, ignore_errors=True)


def create(cluster: Cluster) -> None:
    """Run initdb, unless the cluster exists."""
    if cluster.data.exists():
        return
    account = unprivileged()
    programs = _programs(cluster, account)
    partial = cluster.folder / "data.partial"
    password_file = cluster.folder / "password"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password)
    if account:
        os.chown(partial, account.uid, account.gid)
        os.chown(password_file, account.uid, account.gid)
    try:
        _initdb(programs, partial, password_file, account)
    finally:
        password_file.unlink()
    partial.rename(cluster.data)


def service(cluster: Cluster, log: Path) -> Service:
    """Return the service of a cluster that `create` has made."""
    account = unprivileged()
    settings = {**_SETTINGS, "port": str(cluster.port)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Service(
        name="postgres",
        command=[_programs(cluster, account).postgres, "-D", cluster.data, *options],
        environment=_environment(),
        folder=cluster.folder,
        log=log,
        answers=lambda: admin.postgres_answers(cluster.url("postgres")),
        prepare=lambda: stop_leftovers(cluster.folder),
        stop_signal=signal.SIGINT,  # SIGTERM would wait for all clients to disconnect
        stop_seconds=_STOP_SECONDS,
        account=account,
    )


def stop_leftovers(folder: Path) -> None:
    """Stop servers that a killed supervisor has left: all their backends have the data folder as working directory."""
    data = (folder / "data").resolve()
    pid_file = data / "postmaster.pid"
    running = working_in(data, "postgres")
    _stop_postmaster(running, pid_file)
    terminate(wait_gone(running, _STOP_SECONDS))
    # No Postgres is left, so the process with that number is another program.
    pid_file.unlink(missing_ok=True)


def psql(cluster: Cluster) -> Path:
    """Return the program psql of the cluster's version."""
    return binaries.installed(_version(cluster)).psql


def _programs(cluster: Cluster, account: Account | None) -> binaries.Binaries:
    programs = binaries.installed(_version(cluster))
    return binaries.runnable_by_everybody(programs, cluster.folder / "programs") if account else programs


def _version(cluster: Cluster) -> int:
    file = cluster.data / "PG_VERSION"
    return int(file.read_text()) if file.exists() else cluster.version


def _initdb(programs: binaries.Binaries, data: Path, password_file: Path, account: Account | None) -> None:
    finished = subprocess.run(
        [
            programs.initdb,
            f"--pgdata={data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            # Iterations protect short passwords; ours has 192 random bits. Dagster opens a connection for each
            # event: 9 ms with the default of 4096 iterations, 4 ms with 1.
            "--set=scram_iterations=1",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
        ],
        cwd=data.parent,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=_INITDB_SECONDS,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if finished.returncode:
        raise program_failed(f"initdb failed in {data}", data, finished.stderr)


def _stop_postmaster(running: list[psutil.Process], pid_file: Path) -> None:
    """Signal only the postmaster, which stops its backends; without it they stop themselves."""
    with contextlib.suppress(psutil.NoSuchProcess, OSError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        for process in running:
            if process.pid == pid:
                process.send_signal(signal.SIGINT)


def _environment() -> dict[str, str]:
    """Return a clean environment: PGDATA, PGPORT and similar variables would change the programs' behaviour."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
