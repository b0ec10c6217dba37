"""Dagster's webserver as `bulk-pipeline up` starts it."""

from typing import Any

import pytest
from dagster_webserver import cli
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from bulk_pipeline.orchestration import webserver

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
MAKER = "create_app_from_workspace_process_context"
SOCKET = "ws://localhost:3000/graphql"
MUTATION = "/graphql?query=mutation{terminateRun(runId:1){__typename}}"


async def carried_out(_: Request) -> PlainTextResponse:
    return PlainTextResponse("carried out")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def dagster(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """An application in place of Dagster's, wrapped as `main` wraps that one."""
    routes = [
        Route("/graphql", carried_out, methods=["GET", "POST"]),
        Route("/runs", carried_out),
        WebSocketRoute("/graphql", talk),
    ]
    made: list[Any] = []
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setattr(cli, MAKER, lambda *_, **__: Starlette(routes=routes))
    monkeypatch.setattr(cli, "main", lambda: made.append(getattr(cli, MAKER)()))
    webserver.main()
    return TestClient(made[0], base_url="http://localhost:3000")


def test_dagster_makes_its_application_where_we_wrap_it() -> None:
    """Dagster promises nothing about these two names."""
    names = cli.host_dagster_ui_with_workspace_process_context.__code__.co_names
    assert MAKER in names
    assert callable(cli.main)


def test_its_own_pages_and_programs_are_served(dagster: TestClient) -> None:
    own = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own):
        assert dagster.post("/graphql", headers=headers).text == "carried out"
        assert dagster.get("/runs", headers=headers).headers["X-Frame-Options"] == "DENY"
        with dagster.websocket_connect(SOCKET, headers=headers):
            pass


def test_what_another_page_sends_is_not_carried_out(dagster: TestClient) -> None:
    assert dagster.post("/graphql", headers=FOREIGN).status_code == 403
    assert dagster.get(MUTATION, headers=FOREIGN).status_code == 403
    assert dagster.get(MUTATION, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert dagster.get(MUTATION, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert dagster.get("/runs", headers={"Host": "evil.example"}).status_code == 421
    with pytest.raises(WebSocketDisconnect), dagster.websocket_connect(SOCKET, headers=FOREIGN):
        pass
