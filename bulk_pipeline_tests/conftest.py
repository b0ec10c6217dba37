"""Real servers for the tests: each worker runs its own, and each test gets its own database and buckets."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis.vendor.pretty import RepresentationPrinter, for_type_by_name
from xdist.remote import Producer

from bulk_pipeline import stack as embedded
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.schema import ColumnType
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import objects, postgres
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline.stack.process import running
from bulk_pipeline_tests.rigs.databases import Databases
from bulk_pipeline_tests.shares import Shares, needs_stack

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As shells start what is to run in the background. Dagster copies it to SIGTERM, and children inherit both.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _print_type(type_: ColumnType, printer: RepresentationPrinter, cycle: bool) -> None:
    printer.text(repr(type_))


for_type_by_name(ColumnType.__module__, ColumnType.__name__, _print_type)
"""A failing table of hypothesis would be half a megabyte otherwise, which it warns about instead of showing it."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares | None:
    return Shares(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that need a stack first, so that no worker starts one when the others are at their end."""
    items.sort(key=lambda item: not needs_stack(item.nodeid))


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's settings from the environment of tests."""
    for name in [*Settings.model_fields, "bulk_home"]:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Cluster]:
    """Postgres 18."""
    with _postgres(18) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres16_server() -> Iterator[Cluster]:
    """Postgres 16, the oldest that is tested."""
    with _postgres(16) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def object_server() -> Iterator[Gateway]:
    """An S3 server."""
    with _folder() as folder:
        gateway = Gateway(folder / "objects", free_port(), objects.new_secret())
        objects.create(gateway)
        service = objects.service(gateway, _settings(gateway), folder / "objects.log")
        with running(service):
            yield gateway


@pytest.fixture(scope="session")
def s3_client(object_server: Gateway) -> Iterator[s3.Client]:
    """A plain boto3 client of the S3 server, independent of the product."""
    client = s3.connect(_settings(object_server))
    yield client
    client.close()


@pytest.fixture(scope="session")
def databases(postgres_server: Cluster) -> Databases:
    return _databases(postgres_server)


@pytest.fixture(scope="session")
def databases16(postgres16_server: Cluster) -> Databases:
    return _databases(postgres16_server)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database without rows, on Postgres 18."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def database16_url(databases16: Databases) -> Iterator[str]:
    """A migrated database without rows, on Postgres 16."""
    with databases16.migrated() as url:
        yield url


@pytest.fixture(params=["database_url", "database16_url"], ids=["postgres18", "postgres16"])
def each_database_url(request: pytest.FixtureRequest) -> str:
    """A database on each version, for tests that must pass on all."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database without migrations, on Postgres 18."""
    with databases.blank() as url:
        yield url


@pytest.fixture
def buckets(s3_client: s3.Client) -> dict[str, str]:
    """Four empty buckets, by purpose; the server removes them at its end."""
    names = {use: f"{use}-{uuid4().hex[:12]}" for use in ("uploads", "archive", "reports", "exports")}
    for name in names.values():
        s3_client.create_bucket(Bucket=name)
    return names


@pytest.fixture
def logs_bucket(s3_client: s3.Client) -> str:
    """An empty bucket for run logs."""
    name = f"logs-{uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def settings(database_url: str, object_server: Gateway, buckets: dict[str, str], tmp_path: Path) -> Settings:
    """The settings of a worker, with short waits."""
    return _settings(
        object_server,
        buckets,
        database_url=database_url,
        bulk_work_dir=tmp_path / "work",
        bulk_scratch_dir=tmp_path / "scratch",
        bulk_lease_seconds=3,
        bulk_heartbeat_seconds=0.5,
        bulk_retry_seconds=0.1,
        bulk_settle_seconds=0.2,
        bulk_watch_seconds=0,
    )


@pytest.fixture(scope="session")
def stack() -> Iterator[embedded.StackStatus]:
    """A complete stack: Postgres, S3 and Dagster with the product's definitions."""
    with stack_of(stack_environ()) as status:
        yield status


@contextmanager
def stack_of(environ: dict[str, str]) -> Iterator[embedded.StackStatus]:
    """Run a complete stack during the block."""
    with _folder() as folder:
        home = folder / "home"
        embedded.up(home, detach=True, environ=environ)
        try:
            yield embedded.status(home)
        finally:
            embedded.down(home, purge=True)


@contextmanager
def _postgres(version: int) -> Iterator[Cluster]:
    with _folder() as folder:
        wanted = folder / "postgres"
        cluster = Cluster(postgres.reserve_folder(wanted), free_port(), objects.new_secret(), version)
        try:
            postgres.create(cluster)
            with running(postgres.service(cluster, folder / "postgres.log")):
                _forget_the_disk(cluster)
                yield cluster
        finally:
            postgres.remove_folder(wanted)


def _databases(cluster: Cluster) -> Databases:
    result = Databases(cluster)
    result.prepare()
    return result


def _forget_the_disk(cluster: Cluster) -> None:
    """Turn off syncs to disk, which matter only in a crash of the machine, since every test creates a database."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


def _settings(gateway: Gateway, buckets: dict[str, str] | None = None, **kwargs: object) -> Settings:
    names = {f"s3_bucket_{use}": name for use, name in (buckets or {}).items()}
    fields = {
        "database_url": "postgresql://nowhere",
        "s3_endpoint_url": gateway.url,
        "s3_access_key": gateway.access_key,
        "s3_secret_key": gateway.secret_key,
    }
    return Settings.model_validate({**fields, **names, **kwargs})


@contextmanager
def _folder() -> Iterator[Path]:
    """Return a folder that `nobody`, who runs Postgres for root, may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def stack_environ() -> dict[str, str]:
    """Return the environment of the stack: ours without settings, with small batches and with nights to catch up on."""
    foreign = {name.upper() for name in Settings.model_fields}
    ours = {name: value for name, value in os.environ.items() if name not in foreign}
    return ours | {"BULK_BATCH_ROWS": "5000", "BULK_FIRST_NIGHT": "2026-01-01"}
