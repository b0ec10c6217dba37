"""The API's log: a line for each request, JSON for machines, and no personal data."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import structlog
from fastapi import FastAPI, Request
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from bulk_pipeline.api import logs
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline_tests.rigs.pipeline import Pipeline

PASSWORD, TOKEN, CONTENT = "correct-horse-battery", "eyJhbGciOi.token.signature", "marked-row-content"


class Log(io.StringIO):
    """Receives the log."""

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Callable[..., Log]]:
    """A function that configures the logs of this process in a format; the fixture restores them."""
    root, ours = logging.getLogger(), logging.getLogger("bulk_pipeline")
    before = (root.handlers[:], root.level, ours.level)

    def configured(log_format: logs.LogFormat | None = "json") -> Log:
        stream = Log()
        logs.configure(log_format, stream)
        return stream

    yield configured
    root.handlers[:], root.level, ours.level = before
    structlog.reset_defaults()


@pytest.fixture
def broken(api: TestClient) -> TestClient:
    """The API, with paths that fail."""
    assert isinstance(api.app, FastAPI)

    @api.app.get("/bug")
    def bug() -> None:
        try:
            raise StoreUnavailableError("Postgres at db:5432: gone")
        except StoreUnavailableError as error:
            raise ValueError(f"{CONTENT} is not a number") from error

    @api.app.get("/refused")
    def refused() -> None:
        raise psycopg.errors.UniqueViolation(f"Key (email)=({CONTENT}) already exists")

    @api.app.get("/unfit")
    def unfit() -> None:
        TypeAdapter(int).validate_python(PASSWORD)

    @api.app.get("/named/{thing_id}")
    def named(request: Request, thing_id: str) -> str:
        request.state.account_id = "4711"
        return thing_id

    return api


def test_a_request_is_one_line(broken: TestClient, log: Callable[..., Log]) -> None:
    output, job_id = log(), str(uuid4())
    broken.get(f"/named/{job_id}", headers={"X-Request-ID": "march-17"})
    (line,) = output.lines()
    assert isinstance(line.pop("ms"), float)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "request",
        "level": "info",
        "logger": "bulk_pipeline.api",
        "request_id": "march-17",
        "method": "GET",
        "route": "/named/{thing_id}",
        "status": 200,
        "account_id": "4711",
        "job_id": job_id,
    }


def test_every_line_about_a_request_has_its_id(broken: TestClient, log: Callable[..., Log]) -> None:
    output = log()
    answer = broken.get("/bug", headers={"X-Request-ID": "march-17"})
    assert answer.headers["X-Request-ID"] == "march-17"
    assert [line["request_id"] for line in output.lines()] == ["march-17", "march-17"]
    assert {line["message"] for line in output.lines()} == {"request", "a request failed"}


def test_an_exception_is_logged_in_json_with_its_cause_and_without_data(
    broken: TestClient, log: Callable[..., Log]
) -> None:
    output = log()
    broken.get("/bug")
    (line,) = [line for line in output.lines() if "exception" in line]
    first, cause = line["exception"]
    assert (first["kind"], first.get("message")) == ("ValueError", None)
    assert (cause["kind"], cause["message"]) == ("StoreUnavailableError", "Postgres at db:5432: gone")
    assert first["stack"][-1].endswith(" bug")


def test_successful_probes_are_not_logged(api: TestClient, log: Callable[..., Log]) -> None:
    output = log()
    api.get("/live")
    assert output.lines() == []
    api.post("/live")
    assert [line["status"] for line in output.lines()] == [405]


def test_the_lines_of_libraries_look_the_same(log: Callable[..., Log]) -> None:
    output = log()
    logging.getLogger("uvicorn.error").error("cannot bind to %s", "port 1")
    logging.getLogger("httpx2").info("GET https://example.org/?signature=secret")
    try:
        int(CONTENT)
    except ValueError:
        logging.getLogger("asyncio").exception("a task failed")
        logging.getLogger("uvicorn.error").exception(
            "Exception in ASGI application"
        )  # told of, with its request
    first, second = output.lines()
    assert (first["message"], first["level"], first["logger"]) == (
        "cannot bind to port 1",
        "error",
        "uvicorn.error",
    )
    assert second["exception"][0]["kind"] == "ValueError"
    assert CONTENT not in output.getvalue()


def test_people_get_lines_that_they_can_read(broken: TestClient, log: Callable[..., Log]) -> None:
    output = log("text")
    broken.get("/bug")
    assert "StoreUnavailableError: Postgres at db:5432: gone\n" in output.getvalue()
    assert "/bug" in output.getvalue()
    assert "{" not in output.getvalue()
    assert CONTENT not in output.getvalue()


def test_without_a_format_an_output_that_is_no_terminal_gets_json(
    broken: TestClient, log: Callable[..., Log]
) -> None:
    output = log(None)
    broken.get("/nowhere")
    assert [line["status"] for line in output.lines()] == [404]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_password_token_or_row_is_ever_logged(
    broken: TestClient, pipeline: Pipeline, log: Callable[..., Log], log_format: logs.LogFormat
) -> None:
    output = log(log_format)
    secrets = {"Authorization": f"Bearer {TOKEN}", "Cookie": f"token={TOKEN}", "Idempotency-Key": "k"}
    person = {"email": f"{CONTENT}@x.co", "password": PASSWORD}
    rows = f"email,city\n{CONTENT}@x.co,Lund\n{CONTENT},Lund\n".encode()
    broken.post("/auth/register", json=person, headers=secrets)
    broken.post("/auth/token", json=person, headers=secrets)
    broken.post("/auth/token", json={"password": PASSWORD}, headers=secrets)
    broken.post("/auth/token", content=f'{{"password": "{PASSWORD}"', headers=secrets)
    for prefix in ("", "/api/v1"):
        for data in ({}, {"resource_type": "customers"}, {"resource_type": CONTENT}):
            file = {"file": (f"{CONTENT}.csv", rows, "text/csv")}
            broken.post(f"{prefix}/imports", files=file, data=data, headers=secrets)
        broken.post(
            f"{prefix}/imports", json={"file_url": f"https://x.co/?signature={TOKEN}"}, headers=secrets
        )
        broken.get(f"{prefix}/exports?resource=customers&format=csv&email={CONTENT}", headers=secrets)
        broken.get(f"{prefix}/imports?cursor={CONTENT}&token={TOKEN}", headers=secrets)
    for path in ("/bug", "/refused", "/unfit"):
        broken.get(path, headers=secrets)
    pipeline.drop("customers/people.csv", rows)
    pipeline.work_off()
    assert output.getvalue().count("a request failed") == 3
    for secret in (PASSWORD, TOKEN, CONTENT):
        assert secret not in output.getvalue()
