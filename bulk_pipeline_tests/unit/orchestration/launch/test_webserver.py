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

from bulk_pipeline.orchestration.launch import webserver

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
    """An application that replaces Dagster's, wrapped like it."""
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
    """These two names are not public."""
    names = cli.host_dagster_ui_with_workspace_process_context.__code__.co_names
    assert MAKER in names
    assert callable(cli.main)


def test_dagsters_own_application_is_served_where_the_change_is_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", "guarded_ui")
    make, started = getattr(cli, MAKER), list[bool]()
    monkeypatch.setattr(cli, "main", lambda: started.append(True))
    webserver.main()
    assert started == [True]
    assert getattr(cli, MAKER) is make


def test_its_own_pages_and_programs_are_served(dagster: TestClient) -> None:
    own = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own):
        assert dagster.post("/graphql", headers=headers).text == "carried out"
        assert dagster.get("/runs", headers=headers).headers["X-Frame-Options"] == "DENY"
        with dagster.websocket_connect(SOCKET, headers=headers):
            pass


def test_requests_of_another_page_are_not_executed(dagster: TestClient) -> None:
    assert dagster.post("/graphql", headers=FOREIGN).status_code == 403
    assert dagster.get(MUTATION, headers=FOREIGN).status_code == 403
    assert dagster.get(MUTATION, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert dagster.get(MUTATION, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert dagster.get("/runs", headers={"Host": "evil.example"}).status_code == 421
    with pytest.raises(WebSocketDisconnect), dagster.websocket_connect(SOCKET, headers=FOREIGN):
        pass
