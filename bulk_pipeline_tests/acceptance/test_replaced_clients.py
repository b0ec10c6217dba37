"""Clients of the two replaced services, which post, poll, and empty tables while jobs are pending."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bulk_pipeline import stack as embedded
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique, until

ROWS = 500
USER, ARTICLE = "0190f4a2-7c1e-7d3a-9b5e-{:012}".format, "0190f4a2-7c1e-7d3a-8b5e-{:012}".format


@pytest.fixture
def http(world: RunningStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=str(embedded.status(world.home).api_url), timeout=60) as client:
        yield client


def ended(http: httpx2.Client, path: str, *final: str) -> dict[str, Any]:
    """Poll the job of a path until it has one of the final statuses; return it."""

    def job() -> dict[str, Any]:
        found: dict[str, Any] = http.get(path).raise_for_status().json()
        return found if found["status"] in final else {}

    return until(job, f"the end of {path}", seconds=120)


def test_a_client_of_the_customers_importer_empties_the_table_while_jobs_are_pending(
    world: RunningStack, http: httpx2.Client
) -> None:
    name = unique("client")
    login = {"email": f"{name}@example.com", "password": "correct horse"}
    assert http.post("/auth/register", json=login).status_code == 200
    http.headers["Authorization"] = f"Bearer {http.post('/auth/token', json=login).json()['access_token']}"
    content = csv("email,city", *(f"{name}-{number}@example.com,Lund" for number in range(ROWS)))

    def post(key: str, status: int) -> str:
        answer = http.post(
            "/imports", files={"file": ("people.csv", content)}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == status, answer.text
        return f"/imports/{answer.json()['id']}"

    pending = []
    for _ in range(3):
        world.execute("TRUNCATE customers")
        pending.append(post(unique("key"), 201))
    for path in pending:
        job = ended(http, path, "done", "failed")
        assert job["status"] == ("failed" if job["error_count"] else "done")
        assert job["inserted"] + job["error_count"] == job["processed_rows"] == job["total_rows"] == ROWS

    world.execute("TRUNCATE customers")
    key = unique("key")
    first = post(key, 201)
    done = ended(http, first, "done", "failed")
    assert (done["status"], done["inserted"], done["processed_rows"]) == ("done", ROWS, ROWS)
    assert post(key, 200) == first
    assert world.query("SELECT count(*), count(DISTINCT email) FROM customers") == [(ROWS, ROWS)]


def test_a_client_of_the_articles_importer_empties_the_tables_while_jobs_are_pending(
    world: RunningStack, http: httpx2.Client
) -> None:
    name = unique("client")
    users = csv(
        "id,email,name,role",
        *(f"{USER(number)},{name}-{number}@example.com,Ada,reader" for number in range(ROWS)),
    )
    articles = "".join(
        json.dumps(
            {
                "id": ARTICLE(number),
                "slug": f"{name}-{number}",
                "title": "On engines",
                "body": "x",
                "author_id": USER(number),
                "tags": [],
                "status": "draft",
            }
        )
        + "\n"
        for number in range(ROWS)
    ).encode()

    def post(table: str, file_name: str, content: bytes) -> str:
        answer = http.post(
            "/api/v1/imports",
            data={"resource_type": table, "idempotency_token": str(uuid4())},
            files={"file": (file_name, content)},
        )
        assert answer.status_code == 202, answer.text
        return f"/api/v1/imports/{answer.json()['id']}"

    final = ("completed", "completed_with_errors", "failed", "cancelled")
    pending = []
    for _ in range(3):
        world.execute("TRUNCATE users, articles, comments")
        pending += [post("users", "users.csv", users), post("articles", "articles.ndjson", articles)]
    for path in pending:
        job = ended(http, path, *final)
        assert job["status"] != "failed" or job["failure_count"] == job["total_records"] == ROWS, job
        assert job["success_count"] + job["failure_count"] == job["total_records"] == ROWS

    world.execute("TRUNCATE users, articles, comments")
    outcomes = [ended(http, post("users", "users.csv", users), *final)]
    outcomes += [ended(http, post("articles", "articles.ndjson", articles), *final)]
    assert [(job["status"], job["success_count"]) for job in outcomes] == [("completed", ROWS)] * 2
    lines = http.get(
        "/api/v1/exports", params={"resource": "articles", "format": "ndjson", "fields": "id,author_id"}
    )
    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert rows == [{"id": ARTICLE(number), "author_id": USER(number)} for number in range(ROWS)]
