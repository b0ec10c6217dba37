"""Alive, ready, healthy: what is asked of whom, and what clients are told when a part fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import bulk_pipeline
from bulk_pipeline.api import checkup
from bulk_pipeline.api.app import create_app
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stores.probes import Probes
from bulk_pipeline_tests.integration.stores.dagster_signs import ALIVE, leave_signs

WELL = {"database": "healthy", "object_store": "healthy", "orchestrator": "healthy"}


@contextmanager
def client(settings: Settings, **changed: object) -> Iterator[TestClient]:
    """The API with other settings."""
    stores = Stores(Settings.model_validate({**settings.model_dump(), **changed}))
    with TestClient(create_app(stores), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_all_is_well(settings: Settings, api: TestClient, path: str) -> None:
    leave_signs(settings.database_url.get_secret_value())
    answer = api.get(path)
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "healthy", "version": bulk_pipeline.__version__, "services": WELL},
    )
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_silent_daemon_is_named(settings: Settings, api: TestClient, path: str) -> None:
    leave_signs(settings.database_url.get_secret_value(), ALIVE | {"SENSOR": 600})
    answer = api.get(path)
    assert (answer.status_code, answer.json()) == (
        503,
        {
            "status": "unhealthy",
            "version": bulk_pipeline.__version__,
            "services": WELL | {"orchestrator": "unhealthy"},
        },
    )


@pytest.mark.parametrize("path", ["/health", "/ready"])
@pytest.mark.parametrize("given", [{"s3_endpoint_url": "{nowhere}"}, {"s3_bucket_archive": "no-such-bucket"}])
def test_an_object_store_that_is_down_or_has_no_bucket_is_named(
    settings: Settings, path: str, given: dict[str, str]
) -> None:
    leave_signs(settings.database_url.get_secret_value())
    nowhere = f"http://127.0.0.1:{free_port()}"
    with client(settings, **{name: value.format(nowhere=nowhere) for name, value in given.items()}) as api:
        answer = api.get(path)
    assert (answer.status_code, answer.json()["services"]) == (503, WELL | {"object_store": "unhealthy"})


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_database_that_is_down_is_named_and_the_process_lives(settings: Settings, path: str) -> None:
    with client(settings, database_url=f"postgresql://me:secret@127.0.0.1:{free_port()}/none") as api:
        answer = api.get(path)
        assert api.get("/live").status_code == 200
    assert (answer.status_code, answer.json()["services"]) == (
        503,
        WELL | {"database": "unhealthy", "orchestrator": "unhealthy"},
    )
    assert "secret" not in answer.text


def test_a_part_that_hangs_costs_seconds_and_one_thread(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_signs(settings.database_url.get_secret_value())
    go_on, asked = threading.Event(), list[int]()

    def hang(_: Probes) -> str | None:
        asked.append(1)
        go_on.wait(60)
        return None

    monkeypatch.setattr(Probes, "object_store", hang)
    monkeypatch.setattr(checkup, "_WAIT_SECONDS", 0.2)
    with client(settings) as api:
        answers = [api.get("/ready") for _ in range(3)]
        go_on.set()
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert answers[0].json()["services"]["object_store"] == "unhealthy"
    assert asked == [1]


def test_whoever_asks_often_does_not_load_what_is_asked(
    settings: Settings, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Probes, "database", lambda _: asked.append("database"))
    assert isinstance(api.app, FastAPI)
    monkeypatch.setattr(api.app.state.checkup._questions["database"], "_seconds", 3600)
    for _ in range(20):
        api.get("/ready")
    assert len(asked) <= 1
