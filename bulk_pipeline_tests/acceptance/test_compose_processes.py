"""The services of docker-compose.yml as plain processes, with their commands, environments and healthchecks from the
file. Only what depends on containers is replaced: addresses, folders, paths of programs."""

import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.stack.binaries import installed
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Service, running
from bulk_pipeline_tests.rigs import compose
from bulk_pipeline_tests.rigs.dagster_ui import DagsterUi

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent
LOGINS = ("bulk_migrate", "bulk_worker", "bulk_report", "bulk_dagster_app")
PASSWORD = "a word"


class Machine:
    """Replaces the containers: maps their addresses and folders to this machine."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.ports = {port: free_port() for port in ("4000", "3000", "8080", "9464", "2080")}
        self.folder = folder
        self.sites = {
            name: f"http://127.0.0.1:{free_port()}" for name in ("DAGSTER_SITE", "API_SITE", "GRAFANA_SITE")
        }
        self.services = compose.services(env | self.sites)
        self.home = folder / "opt-dagster"
        self.home.mkdir()
        self.user_home = folder / "home"
        self.user_home.mkdir()
        shutil.copy(compose.ROOT / "dagster.yaml", self.home)
        (self.home / "workspace.compose.yaml").write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {self.ports['4000']}, location_name: bulk_pipeline}}\n"
        )

    def url(self, port: str) -> str:
        """Return the address on this machine for a container's port."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def command(self, words: list[str]) -> list[str]:
        return [self._here(word) for word in words]

    def environment(self, name: str) -> dict[str, str]:
        own = {
            key: self._here(str(value)) for key, value in self.services[name].get("environment", {}).items()
        }
        upstream = {
            "DAGSTER_UPSTREAM": f"127.0.0.1:{self.ports['3000']}",
            "API_UPSTREAM": f"127.0.0.1:{self.ports['8080']}",
            "HEALTH_SITE": f"http://127.0.0.1:{self.ports['2080']}",
        }
        inherited = {
            "PATH": f"{installed(18).psql.parent}:{BIN}:{os.environ['PATH']}",
            "HOME": str(self.user_home),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "HEALTHCHECK_COUNT": str(self.folder / f"{name}.failures"),
        }
        return inherited | (upstream if name == "proxy" else {}) | own

    def start(self, name: str) -> Service:
        """Return the service with its entrypoint; it answers when its healthcheck succeeds."""
        service = self.services[name]
        return Service(
            name=name,
            command=self.command([*service["entrypoint"], *service["command"]]),
            environment=self.environment(name),
            folder=self.folder,
            log=self.folder / f"{name}.log",
            answers=lambda: self.is_healthy(name),
        )

    def is_healthy(self, name: str) -> bool:
        _, *check = self.services[name]["healthcheck"]["test"]
        result = subprocess.run(
            self.command(check), env=self.environment(name), capture_output=True, check=False
        )
        return result.returncode == 0

    def run(self, name: str, *arguments: str) -> str:
        """Run a service that ends."""
        service = self.services[name]
        command = self.command([*service["entrypoint"], *service["command"], *arguments])
        result = subprocess.run(
            command, env=self.environment(name), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def _here(self, text: str) -> str:
        places = {
            "/refuse-placeholders.sh": "ops/refuse-placeholders.sh",
            "/healthcheck.sh": "ops/healthcheck.sh",
            "/roles.sql": "sql/roles.sql",
            "/logins.sql": "ops/postgres/logins.sql",
            "/etc/caddy/Caddyfile": "ops/Caddyfile",
        }
        for place, file in places.items():
            text = text.replace(place, str(compose.ROOT / file))
        for place, own in (
            ("/opt/dagster", self.home),
            ("/var/lib/bulk-pipeline/work", self.folder / "work"),
        ):
            text = text.replace(place, str(own))
        if text in self.ports:
            return str(self.ports[text])
        for port, own in self.ports.items():
            text = text.replace(f"--port={port}", f"--port={own}").replace(
                f"127.0.0.1:{port}/", f"127.0.0.1:{own}/"
            )
        return text.replace("0.0.0.0", "127.0.0.1")


@pytest.fixture
def machine(
    empty_database_url: str, object_server: Gateway, buckets: dict[str, str], logs_bucket: str, tmp_path: Path
) -> Iterator[Machine]:
    server = conninfo.conninfo_to_dict(empty_database_url)
    text = (compose.ROOT / ".env.example").read_text()
    text = text.replace("@postgres:5432/bulk", f"@{server['host']}:{server['port']}/{server['dbname']}")
    hashed = subprocess.run(
        [BIN / "caddy", "hash-password", "--plaintext", PASSWORD], capture_output=True, text=True, check=True
    )
    text = text.replace("'CHANGE_ME_hash'", f"'{hashed.stdout.strip()}'").replace(
        "CHANGE_ME", secrets.token_hex(16)
    )
    env = compose.env_file(text) | {f"S3_BUCKET_{use.upper()}": name for use, name in buckets.items()}
    env |= {
        "POSTGRES_PASSWORD": str(server["password"]),
        "S3_ENDPOINT_URL": object_server.url,
        "S3_ACCESS_KEY": object_server.access_key,
        "S3_SECRET_KEY": object_server.secret_key,
        "S3_BUCKET_LOGS": logs_bucket,
        "S3_LOGS_ACCESS_KEY": object_server.access_key,
        "S3_LOGS_SECRET_KEY": object_server.secret_key,
    }
    made = Machine(env, tmp_path)
    names = ("PGHOST", "PGUSER", "PGDATABASE")
    given = dict(zip(names, (server["host"], server["user"], server["dbname"]), strict=True))
    made.services["roles"]["environment"] |= given | {"PGPORT": str(server["port"])}
    yield made
    with psycopg.connect(empty_database_url) as connection:
        for login in LOGINS:
            connection.execute(f"DROP ROLE IF EXISTS {login}".encode())


def test_the_services_become_healthy_and_dagster_is_reached_with_the_login_only(
    machine: Machine,
    s3_client: s3.Client,
    buckets: dict[str, str],
    logs_bucket: str,
    empty_database_url: str,
) -> None:
    for _ in range(2):  # at every start
        machine.run("roles")
        machine.run("migrate")
    with ExitStack() as stack:
        for name in ("code", "daemon", "webserver", "api", "proxy"):
            stack.enter_context(running(machine.start(name), 120))

        dagster, api = machine.sites["DAGSTER_SITE"], machine.sites["API_SITE"]
        assert _status(dagster) == 401
        assert _status(dagster, "operator:wrong") == 401
        assert _status(f"{dagster}/graphql?query={{version}}") == 401
        assert _status(f"{dagster}/server_info", f"operator:{PASSWORD}") == 200
        page = _text(f"{dagster}/overview", f"operator:{PASSWORD}")
        files = set(re.findall(r'(?:src|href)="(/[^"]+)"', page))
        assert files
        assert {_status(f"{dagster}{file}", f"operator:{PASSWORD}") for file in files} == {200}
        assert _version(dagster, f"operator:{PASSWORD}") == _version(machine.url("3000"))
        assert _socket(dagster, f"operator:{PASSWORD}") == 101
        assert _status(f"{api}/live") == 200
        assert {_status(f"{api}{path}") for path in ("/docs", "/openapi.json")} == {200}
        assert _status(f"{api}/metrics") == 404
        assert _status(f"{machine.url('9464')}/metrics") == 200

        s3_client.put_object(Bucket=buckets["uploads"], Key="customers/a.csv", Body=b"email\na@b.de\n")
        _until(lambda: _query(empty_database_url, "SELECT email FROM customers") == [("a@b.de",)])
        ((run_id,),) = _query(empty_database_url, "SELECT run_id::text FROM bulk.import_jobs")
        folder = f"dagster/storage/{run_id}/compute_logs/"
        _until(lambda: "Contents" in s3_client.list_objects_v2(Bucket=logs_bucket, Prefix=folder))
        _, stderr = DagsterUi(machine.url("3000")).printed(str(run_id))
        assert str(run_id) in stderr
    # Everything else in a container is read-only.
    assert {path.name for path in machine.home.iterdir()} == {
        "dagster.yaml",
        "workspace.compose.yaml",
        "storage",
    }
    assert {path.name for path in machine.user_home.iterdir()} <= {".config", ".local"}  # Caddy's
    assert _query(
        empty_database_url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'dagster'"
    ) == [("bulk_dagster",)]


def _status(url: str, login: str | None = None) -> int:
    try:
        with _open(url, login) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _text(url: str, login: str) -> str:
    with _open(url, login) as answer:
        return answer.read().decode()


def _version(dagster: str, login: str | None = None) -> str:
    """Return the answer to a GraphQL query by POST."""
    query = json.dumps({"query": "{ version }"}).encode()
    with _open(f"{dagster}/graphql?op=Version", login, query, {"Content-Type": "application/json"}) as answer:
        return json.load(answer)["data"]["version"]


def _socket(dagster: str, login: str) -> int:
    """Return the status of the answer to a browser's websocket handshake."""
    host = dagster.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {
        "Authorization": _basic(login),
        "Origin": dagster,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "graphql-ws",
    }
    with closing(connection):
        connection.request("GET", "/graphql", headers=headers)
        return connection.getresponse().status


def _open(
    url: str, login: str | None = None, body: bytes | None = None, headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, body, headers or {})
    if login:
        request.add_header("Authorization", _basic(login))
    return urllib.request.urlopen(request, timeout=10)


def _basic(login: str) -> str:
    return f"Basic {b64encode(login.encode()).decode()}"


def _query(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def _until(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
