"""Streamed exports: their content and order, and errors and disconnects on the way."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import httpx2
import psycopg
import pytest
from pyarrow import parquet
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.byte_pipe import MOST_BYTES
from bulk_pipeline.api.streams import Streams
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person, serving
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Pipeline

V1 = "/api/v1/exports"
ALL = f"{V1}?resource=customers&format=ndjson"
MANY = 200_000
"""Customers of 40 MB, more than the buffers of both connections: from Postgres to us, and from us to the client."""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bulk-pipeline stream%'"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bulk-pipeline stream%'"


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)


@contextmanager
def served(settings: Settings, **changes: object) -> Iterator[tuple[str, Streams]]:
    app = create_app(Stores(settings.model_copy(update=changes)))
    with serving(app) as url:
        yield url, app.state.streams


@contextmanager
def begun(url: str, headers: dict[str, str] | None = None) -> Iterator[Iterator[bytes]]:
    """Yield the rest of a stream after its first bytes."""
    with httpx2.stream("GET", url, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes(1_000)
        next(pieces)
        yield pieces


@pytest.mark.parametrize(
    ("format_", "content_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_both_doors_give_the_same_file(
    api: TestClient, exporting: Exporting, format_: str, content_type: str
) -> None:
    exporting.have("ann@x.co", "bob@x.co")
    by_query = api.get(f"{V1}?resource=customers&format={format_}&fields=email,city")
    by_path = api.get(f"/v1/exports/customers/stream?format={format_}&fields=email,city")
    assert by_query.status_code == by_path.status_code == 200
    assert by_query.content == by_path.content
    assert by_query.headers["Content-Type"] == content_type
    assert by_query.headers["Content-Disposition"] == f'attachment; filename="customers.{format_}"'
    assert by_query.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Length" not in by_query.headers
    if format_ == "csv":
        assert by_query.text == 'email,city\n"ann@x.co",\n"bob@x.co",\n'
    elif format_ == "ndjson":
        assert [json.loads(line)["email"] for line in by_query.text.splitlines()] == ["ann@x.co", "bob@x.co"]
    else:
        assert parquet.read_table(BytesIO(by_query.content)).column("email").to_pylist() == [
            "ann@x.co",
            "bob@x.co",
        ]


def test_a_table_without_rows(api: TestClient) -> None:
    for format_, content in (("csv", "email\n"), ("ndjson", "")):
        answer = api.get(f"{V1}?resource=customers&format={format_}&fields=email")
        assert (answer.status_code, answer.text) == (200, content)


def test_only_the_selected_rows(api: TestClient, exporting: Exporting) -> None:
    exporting.execute(
        "INSERT INTO customers (email, city) VALUES ('ann@x.co', 'Rome'), ('bob@x.co', 'Pisa'), ('eve@x.co', NULL)"
    )
    expected = {
        "city=Rome": ["ann@x.co"],
        "city=Rome&city=Pisa": ["ann@x.co", "bob@x.co"],
        "where=city+is+null": ["eve@x.co"],
        "where=email%3E%3Dbob@x.co&where=city+is+not+null": ["bob@x.co"],
        "city=O'Hara": [],
    }
    for query, emails in expected.items():
        answer = api.get(f"{V1}?resource=customers&format=ndjson&fields=email&{query}")
        assert sorted(json.loads(line)["email"] for line in answer.text.splitlines()) == emails, query


def test_a_request_that_cannot_be_streamed_is_400(api: TestClient) -> None:
    told = {
        f"{V1}?resource=cats&format=csv": "resource_type must be one of: ",
        f"{V1}?format=csv": "resource_type is required",
        f"{V1}?resource=users": "format is required",
        f"{V1}?resource=users&format=xlsx": "format must be one of: csv, ndjson, parquet",
        f"{V1}/cats/stream?format=csv": "resource_type must be one of: ",
        f"{V1}/users/stream": "format is required",
        f"{V1}/users/stream?format=csv&fields=id,age": "users has no column 'age'",
        f"{V1}/users/stream?format=csv&age=3": "users has no column 'age'",
        f"{V1}/users/stream?format=csv&active=perhaps": "'perhaps' is not a valid value for active",
        f"{V1}/users/stream?format=csv&name=a%00b": "name cannot hold a NUL",
        f"{V1}/users/stream?format=csv&where=role": "not a condition",
    }
    for path, text in told.items():
        answer = api.get(path)
        assert (answer.status_code, list(answer.json())) == (400, ["error"]), path
        assert text in answer.json()["error"]


def test_a_streamed_export_imports_again_without_loss(
    api: TestClient, pipeline: Pipeline, exporting: Exporting
) -> None:
    exporting.execute(
        "INSERT INTO users (email, name, role, active) VALUES"
        " ('a@x.co', E'two\\nlines, \"quoted\"', 'admin', true), ('b@x.co', '=1+1', 'reader', false),"
        " ('c@x.co', 'Żółć 😀 \\N', 'editor', true)"
    )
    before = pipeline.query("SELECT * FROM users ORDER BY id")
    for format_ in ("csv", "ndjson", "parquet"):
        content = api.get(f"{V1}/users/stream?format={format_}").content
        exporting.execute("DELETE FROM users")
        pipeline.load(f"users/again.{format_}", content)
        assert pipeline.query("SELECT * FROM users ORDER BY id") == before, format_


def test_a_slow_reader_gets_one_snapshot_in_key_order_and_little_waits_for_it(
    settings: Settings, exporting: Exporting
) -> None:
    exporting.have_many(MANY)
    with served(settings) as (url, streams), httpx2.stream("GET", f"{url}{ALL}", timeout=60) as answer:
        lines = answer.iter_lines()
        ids = [json.loads(next(lines))["id"]]
        (channel,) = streams.running.values()
        wait_until(lambda: channel.held_bytes > MOST_BYTES * 3 // 4)
        exporting.execute("DELETE FROM customers")
        assert exporting.execute(SESSIONS) == [(1,)]
        ids += [json.loads(line)["id"] for line in lines]
        assert len(ids) == MANY
        assert ids == sorted(ids)
        assert channel.most_held_bytes <= MOST_BYTES


def test_a_client_that_leaves_before_the_first_row_ends_the_statement(
    settings: Settings, exporting: Exporting
) -> None:
    with (
        served(settings) as (url, streams),
        psycopg.connect(exporting.stores.database_url) as other,
    ):
        other.execute("LOCK TABLE customers")
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get(f"{url}{ALL}", timeout=httpx2.Timeout(60, read=0.5))
        wait_until(lambda: exporting.execute(SESSIONS) == [(0,)])
        wait_until(lambda: not streams.running)


def test_a_stream_that_breaks_off_does_not_look_complete(settings: Settings, exporting: Exporting) -> None:
    exporting.have_many(MANY)
    with served(settings) as (url, _):
        for format_ in ("csv", "ndjson"):
            with begun(f"{url}{V1}?resource=customers&format={format_}") as pieces:
                exporting.execute(TERMINATE)
                with pytest.raises(httpx2.RemoteProtocolError):
                    for _ in pieces:
                        pass


def test_a_failure_before_the_first_byte_is_503(settings: Settings, exporting: Exporting) -> None:
    answers: list[httpx2.Response] = []
    with served(settings) as (url, _), psycopg.connect(exporting.stores.database_url) as other:
        other.execute("LOCK TABLE customers")
        address = f"{url}{V1}?resource=customers&format=csv"
        client = threading.Thread(target=lambda: answers.append(httpx2.get(address, timeout=60)))
        client.start()
        wait_until(lambda: exporting.execute(f"{SESSIONS} AND wait_event_type = 'Lock'") == [(1,)])
        exporting.execute(TERMINATE)
        client.join()
    (answer,) = answers
    assert (answer.status_code, list(answer.json())) == (503, ["error"])
    assert int(answer.headers["Retry-After"]) > 0


def test_more_streams_than_are_allowed_are_429_until_a_client_leaves_and_its_statement_ends(
    settings: Settings, exporting: Exporting
) -> None:
    exporting.have_many(MANY)
    with served(settings, api_max_streams=1) as (url, streams):
        with begun(f"{url}{ALL}"):
            answer = httpx2.get(f"{url}{ALL}", timeout=60)
            assert (answer.status_code, list(answer.json())) == (429, ["error"])
            assert int(answer.headers["Retry-After"]) > 0
            assert httpx2.get(f"{url}{V1}", timeout=60).status_code == 200
            assert exporting.execute(SESSIONS) == [(1,)]
        wait_until(lambda: exporting.execute(SESSIONS) == [(0,)])
        wait_until(lambda: not streams.running)
        assert httpx2.get(f"{url}{ALL}&email=1@x.co", timeout=60).status_code == 200
        told = httpx2.get(f"{url}/metrics", timeout=60).text
    assert 'bulk_stream_exports_total{format="ndjson",result="abandoned",table="customers"} 1.0' in told
    assert 'bulk_stream_exports_total{format="ndjson",result="completed",table="customers"} 1.0' in told


def test_one_caller_does_not_hold_all_streams(
    settings: Settings, exporting: Exporting, ann: Person, bob: Person
) -> None:
    exporting.have_many(MANY)
    with served(settings, api_max_streams_per_caller=1) as (url, streams), begun(f"{url}{ALL}", ann.headers):
        answer = httpx2.get(f"{url}{ALL}", headers=ann.headers, timeout=60)
        assert (answer.status_code, list(answer.json())) == (429, ["error"])
        assert answer.json()["error"].startswith("1 exports are being streamed for you: try again")
        assert int(answer.headers["Retry-After"]) > 0
        few = f"{url}{ALL}&email=1@x.co"
        assert httpx2.get(few, headers=bob.headers, timeout=60).status_code == 200
        with begun(f"{url}{ALL}"):  # without a token it is the address that counts
            assert httpx2.get(few, timeout=60).status_code == 429
        wait_until(lambda: len(streams.running) == 1)
        assert httpx2.get(few, timeout=60).status_code == 200


def test_a_client_that_reads_nothing_is_cut_off(settings: Settings, exporting: Exporting) -> None:
    exporting.have_many(MANY)
    with served(settings, api_stream_idle_seconds=0.3) as (url, streams), begun(f"{url}{ALL}") as pieces:
        wait_until(lambda: not streams.running)
        assert exporting.execute(SESSIONS) == [(0,)]
        with pytest.raises(httpx2.RemoteProtocolError):
            for _ in pieces:
                pass
