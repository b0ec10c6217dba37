"""A full disk is an outage of the machine: the job is retried, and ends with every row exactly once."""

import gzip
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from bulk_pipeline.errors import DiskFullError
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline_tests.integration.test_sensor import tick
from bulk_pipeline_tests.rigs.dying_import import KEY, requested
from bulk_pipeline_tests.rigs.pipeline import Pipeline

DISK_BYTES = 16_000_000
ROWS = 20_000
EMAILS = [f"c{n}@example.com" for n in range(ROWS)]
CITIES = [f"{n:0100}" for n in range(ROWS)]
TEXT = "email,city\n" + "".join(f"{email},{city}\n" for email, city in zip(EMAILS, CITIES, strict=True))
TOO_MUCH = 1 << 60
"""More bytes than any disk has free."""


@contextmanager
def mounted(folder: Path, size_bytes: int = DISK_BYTES) -> Iterator[Path]:
    """Mount a small file system on the folder."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=777", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as folder:
        yield folder


def filled(disk: Path, *, but_for: int) -> Path:
    """Fill a disk except for some bytes; return the file whose removal frees it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        file.write(bytes(psutil.disk_usage(str(disk)).free - but_for))
    return ballast


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"email": EMAILS, "city": CITIES}), buffer)
    return buffer.getvalue()


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def is_complete(pipeline: Pipeline, key: str = KEY) -> bool:
    """Return True if the table has every row of the job, each once."""
    job, counts = pipeline.job(key), pipeline.counts(pipeline.job(key))
    result = pipeline.query("SELECT email, city FROM customers")
    assert (job.status, job.error, counts.inserted, counts.rejected) == (Status.COMPLETED, None, ROWS, 0)
    assert sorted(result) == sorted(zip(EMAILS, CITIES, strict=True))
    return True


class TestWithoutSpaceLeft:
    """`ENOSPC` in any library."""

    @pytest.fixture
    def settings(self, settings: Settings, small_disk: Path) -> Settings:
        return settings.model_copy(update={"bulk_work_dir": small_disk / "work", "bulk_min_free_bytes": 0})

    @pytest.mark.parametrize("free", [0, 100_000, 3_000_000, 5_000_000])
    def test_a_job_is_tried_again_until_there_is_space(
        self, pipeline: Pipeline, small_disk: Path, free: int
    ) -> None:
        requested(pipeline, TEXT.encode())
        ballast = filled(small_disk, but_for=free)
        pipeline.run(pipeline.job(KEY).id)
        job = pipeline.job(KEY)
        assert job.status in (Status.PENDING, Status.PROCESSING)
        assert str(job.error).startswith("disk_full: no space is left for work files")
        assert files(small_disk) == [ballast]
        ballast.unlink()
        pipeline.work_off()
        assert pipeline.job(KEY).id == job.id
        assert is_complete(pipeline)

    @pytest.mark.parametrize(
        ("key", "content", "format_"),
        [
            pytest.param("customers/a.parquet", parquet, {}, id="spooled"),
            pytest.param("customers/a.parquet.gz", lambda: gzip.compress(parquet(), 1), {}, id="unpacked"),
            pytest.param(KEY, TEXT.encode, {"encoding": "cp1252"}, id="declared code page"),
        ],
    )
    def test_a_copy_of_the_upload_is_no_different(
        self,
        pipeline: Pipeline,
        small_disk: Path,
        key: str,
        content: Callable[[], bytes],
        format_: dict[str, str],
    ) -> None:
        ballast = filled(small_disk, but_for=20_000)
        pipeline.drop(key, content(), **format_)
        pipeline.claim_as_of_a_while_ago()
        (job_id,) = (job.id for job in pipeline.stores.ledger.open_jobs())
        pipeline.run(job_id)
        assert str(pipeline.job(key).error).startswith("disk_full: no space is left for work files")
        assert files(small_disk) == [ballast]
        ballast.unlink()
        pipeline.work_off()
        assert is_complete(pipeline, key)


def test_a_run_does_not_begin_with_too_little_space(pipeline: Pipeline) -> None:
    requested(pipeline, TEXT.encode())
    settings = pipeline.stores.settings.model_copy(update={"bulk_min_free_bytes": TOO_MUCH})
    with closing(Stores(settings)) as stores:
        Pipeline(stores, pipeline.instance).run(pipeline.job(KEY).id)
    job = pipeline.job(KEY)
    assert job.status in (Status.PENDING, Status.PROCESSING)
    assert "bytes are free for work files" in str(job.error)
    assert f"{TOO_MUCH:,} must be (BULK_MIN_FREE_BYTES)" in str(job.error)
    assert files(pipeline.stores.work.folder / job.id) == []
    pipeline.work_off()
    assert is_complete(pipeline)


def test_a_run_stops_before_the_disk_is_full(pipeline: Pipeline, small_disk: Path) -> None:
    requested(pipeline, TEXT.encode())
    settings = pipeline.stores.settings.model_copy(
        update={
            "bulk_work_dir": small_disk / "work",
            "bulk_min_free_bytes": DISK_BYTES - 3_000_000,
            "bulk_max_work_bytes": 20_000_000,  # looks after each hundredth of it
        }
    )
    with closing(Stores(settings)) as stores:
        Pipeline(stores, pipeline.instance).run(pipeline.job(KEY).id)
    job = pipeline.job(KEY)
    assert f"bytes are free for work files ({small_disk / 'work'})" in str(job.error)
    assert files(small_disk) == []
    pipeline.work_off()
    assert is_complete(pipeline)


def test_with_too_little_space_no_run_is_requested_and_no_attempt_used_up(pipeline: Pipeline) -> None:
    pipeline.drop(KEY, TEXT.encode())
    pipeline.claim_as_of_a_while_ago()
    settings = pipeline.stores.settings.model_copy(update={"bulk_min_free_bytes": TOO_MUCH})
    with closing(Stores(settings)) as stores:
        for _ in range(settings.bulk_max_attempts + 1):
            with pytest.raises(DiskFullError, match="no import is started: disk_full: "):
                tick(Pipeline(stores, pipeline.instance))
    job = pipeline.job(KEY)
    assert (job.status, job.attempt, job.error) == (Status.PENDING, 0, None)
    pipeline.work_off()
    assert is_complete(pipeline)


@pytest.fixture
def full_tablespace(postgres_server: Cluster, settings: Settings) -> Iterator[Path]:
    """Move the table `customers` to a full disk; yield the file whose removal frees it."""
    name = f"small_{uuid4().hex}"
    space = sql.Identifier(name)
    url = settings.database_url.get_secret_value()
    server = psutil.Process(int((postgres_server.data / "postmaster.pid").read_text().split()[0]))
    with (
        mounted(postgres_server.folder.resolve() / name, 4 * DISK_BYTES) as disk,  # aborted rows stay
        psycopg.connect(url, autocommit=True) as connection,
    ):
        folder = disk / "space"
        folder.mkdir()
        os.chown(folder, server.uids().effective, server.gids().effective)
        connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, str(folder)))
        connection.execute("TRUNCATE customers")  # frees the space of deleted rows
        connection.execute(sql.SQL("ALTER TABLE customers SET TABLESPACE {}").format(space))
        yield filled(disk, but_for=20_000)
        connection.execute("ALTER TABLE customers SET TABLESPACE pg_default")
        connection.execute(sql.SQL("DROP TABLESPACE {}").format(space))


def test_postgres_without_space_is_the_same_outage(pipeline: Pipeline, full_tablespace: Path) -> None:
    requested(pipeline, TEXT.encode())
    pipeline.run(pipeline.job(KEY).id)
    job = pipeline.job(KEY)
    assert job.status in (Status.PENDING, Status.PROCESSING)
    assert str(job.error).startswith("disk_full: Postgres at ")
    assert "No space left on device" in str(job.error)
    full_tablespace.unlink()
    pipeline.work_off()
    assert is_complete(pipeline)
