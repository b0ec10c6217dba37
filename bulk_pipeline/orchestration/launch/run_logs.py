"""Stores the output of runs in S3, by dagster-aws, so that the UI can show it when their machine is gone.

A log is written to a local file in `$DAGSTER_HOME/storage`, and sent during the run and at its end. A run never fails
because its log cannot be sent: then the file stays, and `clear` sends it at night.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import IO, Any

import dagster as dg
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._serdes import ConfigurableClassData
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import LaunchSettings, S3Folder, S3Settings, Settings

FOLDER = "dagster"
"""The folder of logs in their bucket, or below its prefix."""

_SEND_SECONDS = 30

_log = logging.getLogger(__name__)


class RunLogs(S3ComputeLogManager):
    """`compute_logs` in dagster.yaml, configured by the environment like everything else."""

    def __init__(
        self, settings: S3Settings, bucket: str, folder: Path, inst_data: ConfigurableClassData | None = None
    ) -> None:
        place = S3Folder.of(bucket)
        with s3.default_session(settings):
            super().__init__(
                bucket=place.bucket,
                prefix=place.key(FOLDER),
                local_dir=str(folder),
                endpoint_url=settings.s3_endpoint_url,
                verify_cert_path=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,
                upload_interval=_SEND_SECONDS,
                upload_extra_args=s3.encryption(settings),
                region=settings.s3_region,
                inst_data=inst_data,
            )

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]  # Dagster takes any manager
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "RunLogs | LocalComputeLogManager":
        """Return the manager or, if no bucket is set, Dagster's own, whose logs stay on this machine."""
        settings = S3Settings()
        if settings.s3_bucket_logs is None:
            return LocalComputeLogManager(str(local_folder()), inst_data=inst_data)
        return cls(settings, settings.s3_bucket_logs, local_folder(), inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Send the logs of a run even if it ends with an exception, as a cancelled run does."""
        try:
            with super().capture_logs(log_key) as context:
                yield context
        except s3.FAILURES:
            raise  # from sending the log; Dagster records the error in the run's events and continues
        except BaseException:
            with suppress(*s3.FAILURES):
                self.send_missing(log_key)
                self.local_manager.delete_logs(log_key=log_key)
            raise

    @contextmanager
    def open_log_stream(self, log_key: Sequence[str], io_type: ComputeIOType) -> Iterator[IO[str] | None]:
        """Open the log of a sensor's tick. An empty log, as nearly all are, is not sent."""
        with self.local_manager.open_log_stream(log_key, io_type) as stream:
            yield stream
        if self._path(log_key, io_type).stat().st_size:
            self.upload_to_cloud_storage(log_key, io_type)
        self.local_manager.delete_logs(log_key=log_key)

    def send_missing(self, log_key: Sequence[str]) -> None:
        """Send local logs that S3 does not have; logs that the UI has fetched are in both places."""
        for io_type in ComputeIOType:
            if self._path(log_key, io_type).exists() and not self.cloud_storage_has_logs(log_key, io_type):
                self.upload_to_cloud_storage(log_key, io_type)

    def cloud_storage_has_logs(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> bool:
        """Return False in an outage too, since an exception would end Dagster's polling threads."""
        try:
            return super().cloud_storage_has_logs(log_key, io_type, partial)
        except s3.FAILURES as error:
            _log.warning("what runs print: %s", error)
            return False

    def on_progress(self, log_key: Sequence[str]) -> None:
        try:
            super().on_progress(log_key)
        except s3.FAILURES as error:
            _log.warning("what run %s prints is not sent: %s", log_key[0], error)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """Return a URL of the webserver, since a browser may not be able to reach S3."""
        if not self.is_capture_complete(log_key):
            return None
        return self.local_manager.get_captured_log_download_url(log_key, io_type)

    def _path(self, log_key: Sequence[str], io_type: ComputeIOType) -> Path:
        return Path(self.local_manager.get_captured_local_path(log_key, IO_TYPE_EXTENSION[io_type]))


def local_folder() -> Path:
    """Return this machine's folder for the logs of its runs, and for logs that the UI has fetched."""
    return LaunchSettings().dagster_home / "storage"


def clear(instance: dg.DagsterInstance, settings: Settings) -> int:
    """Remove old logs from this machine's folder; return their number.

    Logs that S3 has are removed after the retention time of work files; logs that were not sent, because the run died
    or in an outage, are sent first. Logs without a copy in S3 stay as long as Dagster's runs.
    """
    logs, folder = instance.compute_log_manager, local_folder()
    hours = settings.bulk_work_retention_hours
    retention = (
        timedelta(hours=hours)
        if isinstance(logs, RunLogs)
        else timedelta(days=settings.bulk_dagster_retention_days)
    )
    last = time() - retention.total_seconds()
    old = [place for place in sorted(folder.rglob("*"), reverse=True) if _written_at(place) < last]
    files = [place for place in old if not place.is_dir()]
    keys = {(*file.parent.relative_to(folder).parts, file.name.partition(".")[0]) for file in files}
    finished = [key for key in sorted(keys) if not _is_running(instance, key)]
    for key in finished:
        if isinstance(logs, RunLogs):
            logs.send_missing(key)
        LocalComputeLogManager(str(folder)).delete_logs(log_key=key)
    for directory in filter(Path.is_dir, old):
        with suppress(OSError):  # it is not empty
            directory.rmdir()
    return len(finished)


def remove_old(client: s3.Client, settings: Settings) -> int:
    """Remove from S3 the logs of runs that are as old as those that Dagster forgets; return the number of objects."""
    if (bucket := settings.s3_bucket_logs) is None:
        return 0
    objects, removed = ObjectStore(settings, client), 0
    for page in objects.pages(bucket, f"{FOLDER}/"):
        last = page.listed_at - timedelta(days=settings.bulk_dagster_retention_days)
        for log in page.objects:
            if log.last_modified < last:
                objects.remove(bucket, log.key)
                removed += 1
    return removed


def _written_at(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except FileNotFoundError:  # a run has just ended
        return time()


def _is_running(instance: dg.DagsterInstance, log_key: Sequence[str]) -> bool:
    run = instance.get_run_by_id(log_key[0])
    return run is not None and not run.is_finished
