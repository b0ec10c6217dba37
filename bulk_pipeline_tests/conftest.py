"""Real servers for the tests: each worker runs its own, each test gets a database and buckets of its own."""

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
from xdist.remote import Producer

from bulk_pipeline import stack as embedded
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import objects, postgres
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline.stack.process import running
from bulk_pipeline.stores import s3
from bulk_pipeline_tests.databases import Databases
from bulk_pipeline_tests.shares import Shares

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As shells start what is to run in the background. Dagster copies it to SIGTERM, and children inherit both.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares | None:
    return Shares(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person at the keyboard has set must not decide what a test sees."""
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
    """A plain boto3 client of the S3 server: somebody else's, as far as the product knows."""
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
    """For a test that must pass on every version: the same test, once on each."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database that has had no migration, on Postgres 18."""
    with databases.blank() as url:
        yield url


@pytest.fixture
def buckets(s3_client: s3.Client) -> dict[str, str]:
    """Four empty buckets: what each is for → its name. They go with the server."""
    names = {use: f"{use}-{uuid4().hex[:12]}" for use in ("uploads", "archive", "reports", "exports")}
    for name in names.values():
        s3_client.create_bucket(Bucket=name)
    return names


@pytest.fixture
def settings(database_url: str, object_server: Gateway, buckets: dict[str, str], tmp_path: Path) -> Settings:
    """Everything a worker needs, with short waits."""
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
    with _folder() as folder:
        home = folder / "home"
        embedded.up(home, detach=True, environ=stack_environ())
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
    found = Databases(cluster)
    found.prepare()
    return found


def _forget_the_disk(cluster: Cluster) -> None:
    """Only a crash of the machine would show the difference, and every test makes a database of its own."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


def _settings(gateway: Gateway, buckets: dict[str, str] | None = None, **given: object) -> Settings:
    names = {f"s3_bucket_{use}": name for use, name in (buckets or {}).items()}
    fields = {
        "database_url": "postgresql://nowhere",
        "s3_endpoint_url": gateway.url,
        "s3_access_key": gateway.access_key,
        "s3_secret_key": gateway.secret_key,
    }
    return Settings.model_validate({**fields, **names, **given})


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that `nobody`, who runs Postgres for root, may enter; pytest's own may be closed."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def stack_environ() -> dict[str, str]:
    """The environment of the stack: ours without settings, but batches are small."""
    foreign = {name.upper() for name in Settings.model_fields}
    ours = {name: value for name, value in os.environ.items() if name not in foreign}
    return ours | {"BULK_BATCH_ROWS": "5000"}
