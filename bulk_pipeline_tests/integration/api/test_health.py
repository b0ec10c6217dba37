"""Liveness, readiness and health: the parts that are checked, and the answers if a part fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

import bulk_pipeline
from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.health import ReadinessCache
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.readiness import Readiness
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline_tests.rigs.dagster_signs import ALIVE, leave_signs

WELL = dict.fromkeys(("database", "object_store", "disk", "orchestrator"), "healthy")


@contextmanager
def client(settings: Settings, **changed: object) -> Iterator[TestClient]:
    """Return the API with other settings."""
    stores = Stores(Settings.model_validate({**settings.model_dump(), **changed}))
    with TestClient(create_app(stores), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def checking(
    settings: Settings, *, keep_seconds: float = 1.0, wait_seconds: float = 3.0
) -> Iterator[TestClient]:
    """Return the API with other times for its checks."""
    stores = Stores(settings)
    app = create_app(stores)
    app.state.readiness = ReadinessCache(stores.probes, keep_seconds=keep_seconds, wait_seconds=wait_seconds)
    with TestClient(app, raise_server_exceptions=False) as client:
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


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_disk_with_too_little_space_is_named(settings: Settings, path: str) -> None:
    leave_signs(settings.database_url.get_secret_value())
    with client(settings, bulk_min_free_bytes=1 << 60) as api:
        answer = api.get(path)
        assert api.get("/live").status_code == 200
    assert (answer.status_code, answer.json()["services"]) == (503, WELL | {"disk": "unhealthy"})


def test_a_part_that_hangs_costs_seconds_and_one_thread(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_signs(settings.database_url.get_secret_value())
    go_on, asked = threading.Event(), list[int]()

    def hang(_: Readiness) -> str | None:
        asked.append(1)
        go_on.wait(60)
        return None

    monkeypatch.setattr(Readiness, "object_store", hang)
    with checking(settings, wait_seconds=0.2) as api:
        answers = [api.get("/ready") for _ in range(3)]
        go_on.set()
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert answers[0].json()["services"]["object_store"] == "unhealthy"
    assert asked == [1]


def test_frequent_requests_do_not_repeat_the_checks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Readiness, "database", lambda _: asked.append("database"))
    with checking(settings, keep_seconds=3600) as api:
        for _ in range(20):
            api.get("/ready")
    assert asked == ["database"]
