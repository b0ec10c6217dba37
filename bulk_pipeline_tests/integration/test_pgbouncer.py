"""The pipeline works through a pgbouncer that pools connections by transaction."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo
from pydantic import SecretStr

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.postgres import migrations
from bulk_pipeline.postgres.admin import postgres_answers
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Service, running
from bulk_pipeline_tests.rigs import debian
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Pipeline

pytestmark = pytest.mark.debian

PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
ROWS = 500


@pytest.fixture
def bouncer(empty_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database's URL through pgbouncer, which has fewer server connections than we open."""
    server, port = conninfo.conninfo_to_dict(empty_database_url), free_port()
    folder = tmp_path_factory.mktemp("pgbouncer")
    (folder / "users.txt").write_text(f'"{server["user"]}" "{server["password"]}"\n')
    (folder / "pgbouncer.ini").write_text(
        "\n".join(
            [
                "[databases]",
                f"* = host={server['host']} port={server['port']}",
                "[pgbouncer]",
                f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
                f"auth_type = scram-sha-256\nauth_file = {folder / 'users.txt'}",
                "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 100",
                *(["user = nobody"] if os.geteuid() == 0 else []),  # it refuses to run as root
            ]
        )
    )
    url = empty_database_url.replace(f":{server['port']}/", f":{port}/")
    service = Service(
        name="pgbouncer",
        command=[debian.program("pgbouncer", *PACKAGES), folder / "pgbouncer.ini"],
        environment=debian.environment(*PACKAGES),
        folder=folder,
        log=folder / "pgbouncer.log",
        answers=lambda: postgres_answers(url),
    )
    with running(service):
        yield url


def test_migrations_imports_and_exports_go_through_it(
    bouncer: str, settings: Settings, pipeline: Pipeline, s3_client: s3.Client
) -> None:
    assert migrations.migrate(bouncer) != []
    update = {"database_url": SecretStr(bouncer), "bulk_batch_rows": 20, "bulk_load_connections": 4}
    given = settings.model_copy(update=update)
    stores = Stores(given)
    through = Pipeline(stores, pipeline.instance)
    for mode, name in (("insert_only", "a"), ("insert_only", "b"), ("upsert", "c"), ("upsert", "d")):
        job = through.load(f"customers/{name}.csv", customers(name), mode=mode)
        assert job.status in (Status.COMPLETED, Status.FAILED), job.error
    assert through.query("SELECT count(*), count(DISTINCT email), min(city), max(city) FROM customers") == [
        (ROWS, ROWS, "d", "d")
    ]
    done = Exporting(stores, s3_client).exported("customers")
    assert done.rows_written == ROWS
    with psycopg.connect(bouncer, prepare_threshold=None) as connection:
        (counts,) = connection.execute(
            "SELECT sum(inserted), sum(updated), sum(rejected) FROM bulk.import_batches"
        )
    assert counts == (ROWS, 2 * ROWS, ROWS)
    stores.close()


def customers(city: str) -> bytes:
    return "".join(["email,city\n", *(f"c{n}@example.com,{city}\n" for n in range(ROWS))]).encode()
