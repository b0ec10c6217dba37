"""The meaning of answers of Dagster's webserver."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from bulk_pipeline.stack.health import DagsterHealth, dagster_health
from bulk_pipeline.stack.ports import HOST, free_port

LOADED = {"name": "code", "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "RepositoryLocation"}}


class Webserver(HTTPServer):
    """Answers every request in the same way."""

    status = 200
    answer: dict[str, Any] = {}  # noqa: RUF012  # each test sets its own

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Webserver  # pyright: ignore[reportIncompatibleVariableOverride]  # the one it belongs to

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def webserver() -> Iterator[Webserver]:
    with Webserver((HOST, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_all_is_well(webserver: Webserver) -> None:
    webserver.answer = answer([LOADED], SENSOR=time.time())
    health = dagster_health(webserver.url, time.time() - 10)
    assert health == DagsterHealth(None, None, None)
    assert health.problem is None


def test_a_heartbeat_of_an_earlier_daemon_does_not_count(webserver: Webserver) -> None:
    webserver.answer = answer([LOADED], SENSOR=time.time() - 20, SCHEDULER=time.time())
    assert dagster_health(webserver.url, time.time() - 10).problem == "no heartbeat from SENSOR"


def test_a_daemon_that_was_silent_for_minutes_is_not_well(webserver: Webserver) -> None:
    webserver.answer = answer([LOADED], SENSOR=time.time() - 300)
    assert dagster_health(webserver.url, time.time() - 1_000).daemon == "no heartbeat from SENSOR"


def test_a_daemon_that_never_gave_a_sign_is_not_well(webserver: Webserver) -> None:
    webserver.answer = answer([LOADED], SENSOR=None)
    assert dagster_health(webserver.url, 0).daemon == "no heartbeat from SENSOR"


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "no code location"),
        ([LOADED | {"loadStatus": "LOADING", "locationOrLoadError": None}], "code is not loaded: LOADING"),
        (
            [LOADED | {"locationOrLoadError": {"__typename": "PythonError", "message": "no such name\n"}}],
            "code is not loaded: no such name",
        ),
    ],
)
def test_code_that_is_not_loaded_is_a_problem(
    webserver: Webserver, entries: list[dict], problem: str
) -> None:
    webserver.answer = answer(entries, SENSOR=time.time())
    assert dagster_health(webserver.url, 0).code_server == problem


def test_an_error_answer_is_a_problem_of_the_webserver(webserver: Webserver) -> None:
    webserver.status, webserver.answer = 500, {"errors": ["the connection is closed"]}
    assert "answers 500: " in (dagster_health(webserver.url, 0).webserver or "")


def test_no_answer_is_a_problem_of_the_webserver() -> None:
    assert "does not answer" in (dagster_health(f"http://{HOST}:{free_port()}", 0).webserver or "")


def answer(entries: list[dict], **heartbeats: float | None) -> dict[str, Any]:
    statuses = [
        {"daemonType": name, "required": True, "lastHeartbeatTime": at} for name, at in heartbeats.items()
    ]
    return {
        "data": {
            "instance": {"daemonHealth": {"allDaemonStatuses": statuses}},
            "workspaceOrError": {"__typename": "Workspace", "locationEntries": entries},
        }
    }
