"""`METRICS_PORT`: a real API process serves /metrics there, and nowhere else."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import HOST, free_port
from bulk_pipeline.stack.process import Child, Service, running
from bulk_pipeline_tests.rigs.api import service_of

API = f"http://{HOST}:{{}}"
HIDDEN = ["/metrics", "/metrics/", "/metrics%0a", "//metrics", "/%6detrics", "/METRICS", "/live/../metrics"]


@pytest.fixture
def ports() -> tuple[int, int]:
    """The ports of the API and of its metrics."""
    return free_port(), free_port()


@pytest.fixture
def service(settings: Settings, tmp_path: Path, ports: tuple[int, int]) -> Service:
    """`python -m bulk_pipeline.api` on the tests' servers."""
    return service_of(settings, tmp_path, ports[0], metrics_port=ports[1])


@pytest.fixture
def process(service: Service) -> Iterator[Child]:
    with running(service) as child:
        yield child


def status(port: int, path: str, host: str | None = None) -> int:
    """Return the status of a request with an unchanged path."""
    with closing(socket.create_connection((HOST, port), timeout=30)) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host or HOST}\r\nConnection: close\r\n\r\n".encode()
        )
        return int(connection.makefile("rb").readline().split()[1])


def test_each_port_serves_its_own_paths_only(process: Child, ports: tuple[int, int]) -> None:
    api, metrics = ports
    told = httpx2.get(f"{API.format(metrics)}/metrics").text
    assert "bulk_queue_depth" in told
    assert "bulk_http_requests_total" in told
    assert {path: status(api, path) for path in HIDDEN} == dict.fromkeys(HIDDEN, 404)
    assert (
        status(api, "/metrics", f"{HOST}:{metrics}") == 404
    )  # what a client calls the server decides nothing
    assert "/metrics" not in httpx2.get(f"{API.format(api)}/openapi.json").json()["paths"]
    others = ["/live", "/docs", "/redoc", "/openapi.json", "/customers/import", "/api/v1/imports"]
    assert {path: status(metrics, path) for path in others} == dict.fromkeys(others, 404)


def test_requests_of_the_other_port_are_counted(process: Child, ports: tuple[int, int]) -> None:
    api, metrics = ports
    assert status(api, "/nothing") == 404
    counted = 'bulk_http_requests_total{method="GET",route="unmatched",status="404"} 1.0'
    assert counted in httpx2.get(f"{API.format(metrics)}/metrics").text


def test_a_signal_closes_both_ports(process: Child, ports: tuple[int, int]) -> None:
    with socket.create_connection((HOST, ports[1])):  # a client that stays connected holds nothing up
        process.process.terminate()
        assert process.process.wait(timeout=30) in {0, -signal.SIGTERM}
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port))


def test_a_port_that_is_taken_is_named_and_nothing_is_served(
    service: Service, ports: tuple[int, int]
) -> None:
    with socket.create_server((HOST, ports[1])):
        ended = subprocess.run(
            service.command, env=service.environment, cwd=service.folder, capture_output=True, text=True
        )
    assert (ended.returncode, ended.stderr) == (
        1,
        f"error: METRICS_PORT: cannot listen on {HOST}, port {ports[1]}: Address already in use\n",
    )


def test_the_api_starts_again_on_the_same_ports(service: Service, ports: tuple[int, int]) -> None:
    for _ in range(2):
        with running(service):
            assert [status(port, "/metrics") for port in ports] == [404, 200]
