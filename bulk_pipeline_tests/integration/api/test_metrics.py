"""GET /metrics has all metrics of the contract, from the ledger and the process, without personal data."""

from collections.abc import Generator
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline_tests.rigs.dagster_signs import leave_signs
from bulk_pipeline_tests.rigs.pipeline import Pipeline

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
USERS = b"id,email,name,role\n,a@x.co,Ann,reader\n,b@x.co,Bob,nobody\n,,Cy,reader\n"


def scraped(api: TestClient) -> Series:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(series: Series, name: str, **labels: str) -> float | None:
    return series.get((name, frozenset(labels.items())))


def app_of(api: TestClient) -> FastAPI:
    assert isinstance(api.app, FastAPI)
    return api.app


def metrics_of(api: TestClient) -> Metrics:
    return app_of(api).state.metrics


def test_jobs_rows_and_failures_come_from_the_ledger(api: TestClient, pipeline: Pipeline) -> None:
    pipeline.load("users/upsert/secret-name.csv", USERS)
    pipeline.drop("users/upsert/waits.csv", USERS)
    found = pipeline.stores.objects.find(pipeline.stores.settings.s3_bucket_uploads, "users/upsert/waits.csv")
    assert found is not None
    pipeline.stores.claims.claim(found)
    leave_signs(pipeline.stores.database_url, ticks={"upload_sensor": 4})
    series = scraped(api)
    assert value(series, "bulk_import_jobs_total", table="users", status="completed_with_errors") == 1
    assert value(series, "bulk_import_jobs_total", table="users", status="failed") == 0
    assert value(series, "bulk_rows_total", table="users", result="inserted") == 1
    assert value(series, "bulk_rows_total", table="users", result="rejected") == 2
    assert value(series, "bulk_row_failures_total", table="users", code="required") == 1
    assert value(series, "bulk_row_failures_total", table="users", code="not_allowed") == 1
    assert value(series, "bulk_rows_per_second", table="users") == 3 / 60
    assert value(series, "bulk_import_job_duration_seconds_count", table="users") == 1
    assert value(series, "bulk_import_job_duration_seconds_bucket", table="users", le="+Inf") == 1
    assert value(series, "bulk_batch_duration_seconds_count", table="users") == 1
    assert value(series, "bulk_import_jobs_in_progress", table="users", status="pending") == 1
    assert value(series, "bulk_queue_depth", kind="import") == 1
    assert (value(series, "bulk_queue_oldest_age_seconds", kind="import") or 0) > 0
    assert (value(series, "bulk_sensor_last_tick_age_seconds", sensor="upload_sensor") or 0) >= 4
    assert value(series, "bulk_up", part="orchestrator") == 1
    assert (value(series, "bulk_database_connections", state="idle") or 0) >= 1


def test_two_processes_say_the_same_of_the_ledger(
    settings: Settings, api: TestClient, pipeline: Pipeline
) -> None:
    pipeline.load("users/upsert/people.csv", USERS)
    with TestClient(create_app(Stores(settings))) as other:
        first, second = scraped(api), scraped(other)
    totals = [key for key in first if key[0] in ("bulk_rows_total", "bulk_import_jobs_total")]
    assert totals
    assert [first[key] for key in totals] == [second[key] for key in totals]


def test_requests_are_counted_by_method_route_and_status(api: TestClient) -> None:
    for path in ("/live", "/live", f"/{uuid4()}", f"/users/{uuid4()}.csv"):
        api.get(path)
    api.post("/live")
    api.request("BREW", "/live")
    series = scraped(api)
    assert value(series, "bulk_http_requests_total", method="GET", route="/live", status="200") == 2
    assert value(series, "bulk_http_requests_total", method="GET", route="unmatched", status="404") == 2
    assert value(series, "bulk_http_requests_total", method="POST", route="/live", status="405") == 1
    assert value(series, "bulk_http_requests_total", method="other", route="/live", status="405") == 1
    assert value(series, "bulk_http_request_duration_seconds_count", method="GET", route="/live") == 2
    assert value(series, "bulk_http_requests_in_flight", method="GET") == 1, "the scrape itself"


@pytest.mark.parametrize("prefix", ["", "/api/v1", "/v1"])
def test_a_route_is_named_as_it_is_declared(api: TestClient, prefix: str) -> None:
    app_of(api).include_router(_things(), prefix=prefix)
    api.get(f"{prefix}/things/{uuid4()}")
    api.get(f"{prefix}/things/a-file.csv")
    route = f"{prefix}/things/{{thing_id}}"
    assert value(scraped(api), "bulk_http_requests_total", method="GET", route=route, status="200") == 2


def test_no_label_has_an_id_or_a_user_chosen_name(api: TestClient, pipeline: Pipeline) -> None:
    job = pipeline.load("users/upsert/secret-name.csv", USERS)
    pipeline.load("secret-folder/secret-name.csv", USERS)
    for path in (f"/imports/{job.id}", "/secret-name", "/secret-name?x=secret-name"):
        api.get(path, headers={"X-Request-ID": "secret-name"})
    told = api.get("/metrics").text
    assert job.id not in told
    assert "secret" not in told
    assert 'table="unknown"' in told


@pytest.mark.parametrize(
    ("end", "result"), [(None, "completed"), (ValueError, "failed"), (GeneratorExit, "abandoned")]
)
def test_streams_are_counted_however_they_end(
    api: TestClient, end: type[BaseException] | None, result: str
) -> None:
    def stream() -> Generator[None]:
        with metrics_of(api).streaming("users", "ndjson") as watched:
            watched.add_rows(7)
            yield

    running = stream()
    next(running)
    assert value(scraped(api), "bulk_stream_exports_in_flight", table="users", format="ndjson") == 1
    with pytest.raises(end or StopIteration):
        running.throw(end()) if end else next(running)
    series = scraped(api)
    assert value(series, "bulk_stream_exports_in_flight", table="users", format="ndjson") == 0
    assert value(series, "bulk_stream_exports_total", table="users", format="ndjson", result=result) == 1
    assert value(series, "bulk_stream_export_rows_total", table="users", format="ndjson") == 7
    assert value(series, "bulk_stream_export_duration_seconds_count", table="users", format="ndjson") == 1


def test_the_newer_format_is_served_on_request(api: TestClient) -> None:
    answer = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert {"bulk_rows", "bulk_http_requests"} <= names


def test_free_space_is_reported_with_the_needed_space(settings: Settings) -> None:
    needed = 1 << 60
    with TestClient(create_app(Stores(settings.model_copy(update={"bulk_min_free_bytes": needed})))) as api:
        series = scraped(api)
    assert value(series, "bulk_up", part="disk") == 0
    assert value(series, "bulk_disk_needed_bytes", place="work files") == needed
    free = value(series, "bulk_disk_free_bytes", place="work files")
    assert free is not None
    assert 0 < free < needed


def test_without_a_database_the_rest_is_reported_nevertheless(settings: Settings) -> None:
    nowhere = f"postgresql://me@127.0.0.1:{free_port()}/none"
    stores = Stores(Settings.model_validate({**settings.model_dump(), "database_url": nowhere}))
    with TestClient(create_app(stores)) as api:
        series = scraped(api)
    assert value(series, "bulk_up", part="database") == 0
    assert value(series, "bulk_up", part="object_store") == 1
    assert not [name for name, _ in series if name.startswith("bulk_queue")]


def test_nothing_is_read_before_a_scrape(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the database is asked")

    monkeypatch.setattr("bulk_pipeline.postgres.connection.connect", refuse)
    create_app(Stores(settings))


def _things() -> APIRouter:
    router = APIRouter()

    @router.get("/things/{thing_id}")
    def thing(thing_id: str) -> str:
        return thing_id

    return router
