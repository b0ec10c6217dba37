"""The embedded Postgres."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack import postgres
from bulk_pipeline.stack.leftovers import wait_gone
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline.stack.process import Child, running, stop

# pytest's folders are closed to others: for root this is the case of a clone under /root.


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    wanted = tmp_path / "postgres"
    made = Cluster(postgres.reserve_folder(wanted), free_port(), "secret")
    postgres.create(made)
    yield made
    postgres.remove_folder(wanted)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "postgres.log"


def test_committed_rows_survive_a_kill(cluster: Cluster, log: Path) -> None:
    with running(postgres.service(cluster, log)) as child:
        write(cluster, "kept")
        kill(child)
    with running(postgres.service(cluster, log)):
        assert read(cluster) == [("kept",)]


def test_committed_rows_survive_a_kill_while_a_client_is_busy(cluster: Cluster, log: Path) -> None:
    with running(postgres.service(cluster, log)) as child:
        write(cluster, "kept")
        with closing(psycopg.connect(cluster.url("postgres"))) as busy:
            busy.execute("INSERT INTO words VALUES ('lost')")
            kill(child)
            with running(postgres.service(cluster, log)):
                assert read(cluster) == [("kept",)]


def test_stopping_does_not_wait_for_clients(cluster: Cluster, log: Path) -> None:
    with running(postgres.service(cluster, log)) as child:
        with closing(psycopg.connect(cluster.url("postgres"))) as client:
            client.execute("SELECT 1")
            started = time.monotonic()
            stop([child])
        assert time.monotonic() - started < 10


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(cluster: Cluster, log: Path) -> None:
    with running(postgres.service(cluster, log)) as child:
        pid_file = cluster.data / "postmaster.pid"
        content = pid_file.read_text()
        kill(child)
    pid_file.write_text(content.replace(str(child.process.pid), str(os.getppid()), 1))
    with running(postgres.service(cluster, log)):
        assert postmaster(cluster) != os.getppid()


def test_a_server_whose_owner_was_killed_stops(cluster: Cluster, log: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from bulk_pipeline.stack import postgres, process\n"
        "cluster = postgres.Cluster(Path(sys.argv[1]), int(sys.argv[2]), 'secret')\n"
        "child = process.start(postgres.service(cluster, Path(sys.argv[3])))\n"
        "process.wait(child, 60); print(child.process.pid, flush=True); time.sleep(600)"
    )
    arguments = [sys.executable, "-c", program, str(cluster.folder), str(cluster.port), str(log)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        server = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    assert wait_gone([server], 20) == []


def test_a_server_that_was_left_running_is_replaced(cluster: Cluster, log: Path) -> None:
    with running(postgres.service(cluster, log)) as first, running(postgres.service(cluster, log)):
        assert not first.alive


@pytest.mark.parametrize("version", [18, 16])
def test_both_versions_are_there(version: int, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server" if version == 18 else "postgres16_server")
    with psycopg.connect(server.url("postgres")) as connection:
        assert connection.info.server_version // 10_000 == version


def test_an_unknown_version_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no embedded Postgres 9; available: 18, 16"):
        postgres.create(Cluster(tmp_path, 1, "secret", version=9))


def test_several_clusters_run_side_by_side(cluster: Cluster, log: Path, postgres_server: Cluster) -> None:
    with running(postgres.service(cluster, log)):
        write(cluster, "here")
        with psycopg.connect(postgres_server.url("postgres")) as other:
            assert other.execute("SELECT to_regclass('words')").fetchone() == (None,)


def test_durable_utf8_and_asks_for_a_password(cluster: Cluster, log: Path) -> None:
    names = ("fsync", "synchronous_commit", "server_encoding", "lc_collate", "listen_addresses", "TimeZone")
    with running(postgres.service(cluster, log)):
        with psycopg.connect(cluster.url("postgres")) as connection:
            shown = [
                connection.execute(f"SELECT current_setting('{name}', true)").fetchone() for name in names
            ]
            collation = connection.execute("SELECT datcollate FROM pg_database LIMIT 1").fetchone()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(cluster.url("postgres"), password="wrong")
    assert [value for (value,) in filter(None, shown)] == ["on", "on", "UTF8", None, "127.0.0.1", "UTC"]
    assert collation == ("C.UTF-8",)


def test_psql_is_there(postgres_server: Cluster) -> None:
    command = [postgres.psql(postgres_server), postgres_server.url("postgres"), "-Atc", "SELECT 6 * 7"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"


def test_an_initdb_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    wanted = tmp_path / "postgres"
    cluster = Cluster(postgres.reserve_folder(wanted), free_port(), "secret")
    (cluster.folder / "data.partial").mkdir()
    (cluster.folder / "data.partial" / "PG_VERSION").write_text("18")
    postgres.create(cluster)
    assert (cluster.data / "global").is_dir()
    postgres.remove_folder(wanted)
    assert not cluster.folder.exists()


def write(cluster: Cluster, word: str) -> None:
    with psycopg.connect(cluster.url("postgres")) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def read(cluster: Cluster) -> list[tuple[str]]:
    with psycopg.connect(cluster.url("postgres")) as connection:
        return connection.execute("SELECT word FROM words").fetchall()


def kill(child: Child) -> None:
    child.process.kill()
    child.process.wait()


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
