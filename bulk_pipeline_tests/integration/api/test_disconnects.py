"""Clients that disconnect before they have their answer, or in the middle of a request."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import serving
from bulk_pipeline_tests.rigs.exports import Exporting

STREAM = "/api/v1/exports?resource=customers&format=ndjson"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bulk-pipeline stream%'"
LEFT = "499"
THREADS = 40
"""Threads of a server for handlers."""


@contextmanager
def served(settings: Settings, **changes: object) -> Iterator[str]:
    with serving(create_app(Stores(settings.model_copy(update=changes)))) as url:
        yield url


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    _, _, place = url.rpartition("/")
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def requests(url: str) -> dict[tuple[str, str], float]:
    """Return the numbers of requests by route and status."""
    metrics = httpx2.get(f"{url}/metrics", timeout=60).text
    return {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "bulk_http_requests_total"
    }


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)


@pytest.mark.parametrize("body", ["", "Content-Length: 3\r\n\r\nabc"])
def test_a_stream_that_has_not_begun_ends_with_its_client(
    settings: Settings, exporting: Exporting, body: str
) -> None:
    with served(settings) as url, psycopg.connect(exporting.stores.database_url) as other:
        other.execute("LOCK TABLE customers")
        with connected(url) as client:
            client.sendall(
                f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n{body or chr(13) + chr(10)}".encode()
            )
            wait_until(lambda: exporting.execute(SESSIONS) == [(1,)])
        wait_until(lambda: exporting.execute(SESSIONS) == [(0,)])
        wait_until(lambda: requests(url).get(("/api/v1/exports", LEFT)) == 1)


def test_a_fetch_ends_with_its_client(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        changed = {"api_fetch_private": True, "api_fetch_ports": str(port), "api_fetch_seconds": 30}
        with served(settings, **changed) as url:
            request = {"resource": "users", "file_url": f"http://127.0.0.1:{port}/users.csv"}
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.post(f"{url}/api/v1/imports", json=request, timeout=httpx2.Timeout(30, read=0.3))
            fetching, _ = silent.accept()
            with fetching:
                fetching.settimeout(10)
                while fetching.recv(65_536):
                    pass  # until we are left
            wait_until(lambda: requests(url).get(("/api/v1/imports", LEFT)) == 1)


def test_a_request_that_waits_for_a_thread_ends_with_its_client(
    settings: Settings, exporting: Exporting
) -> None:
    """The process answers other requests meanwhile."""
    released = threading.Event()
    app = create_app(Stores(settings))
    busy, registry = app.state.stores.exports.newest, app.state.metrics.registry
    calls = list[int]()

    def in_flight() -> float | None:
        return registry.get_sample_value("bulk_http_requests_in_flight", {"method": "GET"})

    def hold(**kwargs: object) -> object:
        calls.append(1)
        assert released.wait(60)
        return busy(**kwargs)

    app.state.stores.exports.newest = hold
    with serving(app) as url:
        with ExitStack() as crowd:
            for _ in range(THREADS + 5):
                client = crowd.enter_context(connected(url))
                client.sendall(b"GET /api/v1/exports HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                wait_until(lambda: len(calls) == THREADS)
                assert httpx2.get(f"{url}/live", timeout=10).status_code == 200
                crowd.close()
                wait_until(lambda: in_flight() == THREADS)
            finally:
                released.set()
        wait_until(lambda: requests(url).get(("/api/v1/exports", LEFT)) == THREADS + 5)
        assert len(calls) == THREADS


def test_a_body_that_stops_half_way_is_408(settings: Settings) -> None:
    with served(settings, api_stream_idle_seconds=0.2) as url:
        for path, kind in (
            ("/api/v1/exports", "application/json"),
            ("/auth/token", "application/json"),
            ("/api/v1/imports", "multipart/form-data; boundary=b"),
        ):
            with connected(url) as client:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n\r\n"
                client.sendall(f"{head}-".encode())
                answer = b"".join(iter(lambda: client.recv(65_536), b""))
            assert answer.startswith(b"HTTP/1.1 408 "), path
            assert b"no data of the body arrived for 0.2 seconds" in answer


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with served(settings) as url:
        for path in ("/api/v1/exports", "/auth/token", "/api/v1/imports"):
            with connected(url) as client:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
                client.sendall(head.encode())
                time.sleep(0.05)
            wait_until(lambda path=path: requests(url).get((path, LEFT)) == 1)
        assert not [status for _, status in requests(url) if status == "500"]
