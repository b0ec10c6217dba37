"""A real Caddy with ops/Caddyfile, before servers that record what reaches them."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bulk_pipeline.stack.ports import HOST, free_port, is_open
from bulk_pipeline.stack.process import Service, running
from bulk_pipeline_tests.rigs.compose import ROOT

BINARY = Path(sys.executable).with_name("caddy")
CADDYFILE = ROOT / "ops" / "Caddyfile"
SITES = ("DAGSTER", "API", "GRAFANA")


@dataclass(frozen=True)
class Arrival:
    """A request that an upstream received: the words of its first line, and its headers."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass
class Upstream:
    """A server behind the proxy, which answers every request with 200."""

    arrivals: list[Arrival] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[int]:
        arrivals = self.arrivals

        class Recorder(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrivals.append(Arrival(self.command, self.requestline.split(" ")[1], headers))
                self.rfile.read(int(headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        with ThreadingHTTPServer((HOST, 0), Recorder) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Proxy:
    """A running Caddy: the ports of its sites, their upstreams, and its log file."""

    ports: Mapping[str, int]
    upstreams: Mapping[str, Upstream]
    log: Path

    def send(
        self,
        site: str,
        target: str,
        method: str = "GET",
        *,
        headers: Mapping[str, str] | None = None,
        body: int = 0,
    ) -> tuple[Answer, list[Arrival]]:
        """Send a request with an unchanged target; return the response and the request that reached the upstream."""
        arrivals = self.upstreams[site].arrivals
        arrivals.clear()
        given = {"Host": f"{HOST}:{self.ports[site]}", "Connection": "close"}
        given |= headers or {}
        if body:
            given["Content-Length"] = str(body)
        head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        with closing(socket.create_connection((HOST, self.ports[site]), timeout=30)) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
            with suppress(BrokenPipeError, ConnectionResetError):  # answered before all of it was sent
                connection.sendall(b"x" * body)
            return _answer(connection), list(arrivals)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the proxy's processes."""
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def command(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Caddy that ends."""
    return subprocess.run([BINARY, *words], env=dict(env), capture_output=True, text=True, check=False)


@contextmanager
def proxy(folder: Path, env: Mapping[str, str]) -> Iterator[Proxy]:
    """Run Caddy with ops/Caddyfile, which reads `env`, and its log in the folder."""
    upstreams = {site: Upstream() for site in SITES}
    ports = {site: free_port() for site in SITES}
    health = free_port()
    with (
        upstreams["DAGSTER"].serving() as dagster,
        upstreams["API"].serving() as api,
        upstreams["GRAFANA"].serving() as grafana,
    ):
        behind = {"DAGSTER": dagster, "API": api, "GRAFANA": grafana}
        given = {f"{site}_UPSTREAM": f"{HOST}:{port}" for site, port in behind.items()}
        given |= {f"{site}_SITE": f"http://{HOST}:{port}" for site, port in ports.items()}
        service = Service(
            name="caddy",
            command=[BINARY, "run", "--config", CADDYFILE, "--adapter", "caddyfile"],
            environment=environment(folder) | given | {"HEALTH_SITE": f"http://{HOST}:{health}"} | dict(env),
            folder=folder,
            log=folder / "caddy.log",
            answers=lambda: is_open(health),
        )
        with running(service):
            yield Proxy(ports, upstreams, service.log)


def _answer(connection: socket.socket) -> Answer:
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(lambda: stream.readline().decode("latin-1").strip(), "")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(status, headers)
