"""Exports as jobs for clients of /api/v1: request, read, list, cancel, download."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.exports import Exporting

V1 = "/api/v1/exports"
NO_JOB = "0199a1b2-0000-7000-8000-000000000000"  # an id of nothing


def ask(api: TestClient, **kwargs: Any) -> dict[str, Any]:
    answer = api.post(V1, json={"resource_type": "customers", "format": "csv"} | kwargs)
    assert answer.status_code == 202, answer.text
    return answer.json()


def done(api: TestClient, exporting: Exporting, **kwargs: Any) -> dict[str, Any]:
    job = ask(api, **kwargs)
    exporting.run(exporting.stores.exports.get(job["id"]))
    return api.get(f"{V1}/{job['id']}").json()


def test_a_request_is_a_pending_job(api: TestClient) -> None:
    job = ask(api, resource_type="users", format="ndjson")
    stable = {name: value for name, value in job.items() if not name.endswith("_at") and "id" not in name}
    assert stable == {
        "resource_type": "users",
        "format": "ndjson",
        "status": "pending",
        "total_records": 0,
        "file_path": None,
        "download_url": None,
        "error_message": None,
    }
    assert (job["id"], job["expires_at"], job["completed_at"]) == (job["job_id"], None, None)
    assert api.get(f"{V1}/{job['id']}").json() == job
    assert api.get(f"/v1/exports/{job['id']}").json() == job


def test_the_request_id_is_kept_with_the_job(api: TestClient, exporting: Exporting) -> None:
    body = {"resource_type": "users", "format": "csv"}
    job = api.post(V1, json=body, headers={"X-Request-ID": "march-17"}).json()
    assert exporting.stores.exports.get(job["id"]).request_id == "march-17"


def test_a_finished_job_says_where_its_file_is(api: TestClient, exporting: Exporting) -> None:
    exporting.have("ann@x.co", "bob@x.co")
    job = done(api, exporting, filters={"email": "ann@x.co"}, fields=["email"])
    assert (job["status"], job["total_records"]) == ("completed", 1)
    assert job["file_path"].startswith(f"s3://{exporting.bucket}/customers/dt=")
    assert job["file_path"].endswith(f"/{job['id']}/part-00000.csv")
    assert job["download_url"] == f"http://testserver{V1}/{job['id']}/download"
    assert job["expires_at"] > job["completed_at"]
    answer = api.get(job["download_url"], follow_redirects=False)
    assert answer.status_code == 307
    file = httpx2.get(answer.headers["Location"])
    assert file.text == 'email\n"ann@x.co"\n'
    assert "customers.csv" in file.headers["Content-Disposition"]


def test_the_file_is_one_however_many_rows_there_are(api: TestClient, exporting: Exporting) -> None:
    assert exporting.stores.exports.get(ask(api)["id"]).rows_per_part >= 2**62


def test_a_file_without_rows_has_its_header(api: TestClient, exporting: Exporting) -> None:
    job = done(api, exporting, fields=["id", "email"])
    assert (job["status"], job["total_records"], job["file_path"]) == ("completed", 0, None)
    answer = api.get(job["download_url"], follow_redirects=False)
    assert (answer.status_code, answer.text) == (200, "id,email\n")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="customers.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_link_is_signed_for_the_host_that_clients_know(settings: Settings, exporting: Exporting) -> None:
    exporting.have("ann@x.co")
    public = str(settings.s3_endpoint_url).replace("127.0.0.1", "localhost")
    changes = {"s3_public_endpoint_url": public, "api_url": "https://bulk.example.com"}
    with TestClient(create_app(Stores(settings.model_copy(update=changes)))) as api:
        job = done(api, exporting)
        answer = api.get(f"{V1}/{job['id']}/download", follow_redirects=False)
    assert job["download_url"] == f"https://bulk.example.com{V1}/{job['id']}/download"
    assert urlsplit(answer.headers["Location"]).hostname == "localhost"
    assert "ann@x.co" in httpx2.get(answer.headers["Location"]).text


def test_a_download_before_the_end_is_409_and_of_nothing_404(api: TestClient) -> None:
    job = ask(api)
    answer = api.get(f"{V1}/{job['id']}/download")
    assert (answer.status_code, "is pending" in answer.json()["error"]) == (409, True)
    api.post(f"{V1}/{job['id']}/cancel")
    assert api.get(f"{V1}/{job['id']}/download").status_code == 404
    assert api.get(f"{V1}/{NO_JOB}/download").status_code == 404
    assert api.get(f"{V1}/march/download").status_code == 400


def test_a_download_of_expired_files_is_410(api: TestClient, exporting: Exporting) -> None:
    exporting.have("ann@x.co")
    job = done(api, exporting)
    exporting.stores.exports.files_removed(job["id"])
    answer = api.get(f"{V1}/{job['id']}/download")
    assert (answer.status_code, "has expired" in answer.json()["error"]) == (410, True)
    shown = api.get(f"{V1}/{job['id']}").json()
    assert (shown["status"], shown["download_url"], shown["file_path"]) == ("completed", None, None)


def test_an_export_of_several_parts_is_not_downloaded_as_one(api: TestClient, exporting: Exporting) -> None:
    exporting.have("ann@x.co", "bob@x.co")
    job = exporting.exported(rows_per_part=1)
    answer = api.get(f"{V1}/{job.id}/download")
    assert (answer.status_code, "has 2 parts" in answer.json()["error"]) == (409, True)


def test_a_request_that_never_began_has_failed(api: TestClient, exporting: Exporting) -> None:
    job = ask(api)
    exporting.execute("UPDATE bulk.export_jobs SET expires_at = now() - interval '1 hour'")
    exporting.stores.exports.unstarted()
    shown = api.get(f"{V1}/{job['id']}").json()
    assert (shown["status"], shown["error_message"]) == ("failed", "no run began in time")


def test_a_job_that_is_not_there(api: TestClient) -> None:
    assert api.get(f"{V1}/{NO_JOB}").status_code == 404
    assert api.get(f"{V1}/march").status_code == 400
    assert api.post(f"{V1}/{NO_JOB}/cancel").status_code == 404
    assert api.post(f"{V1}/march/cancel").status_code == 400


def test_a_cancelled_job(api: TestClient) -> None:
    job = ask(api)
    answer = api.post(f"{V1}/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    again = api.post(f"{V1}/{job['id']}/cancel")
    assert (again.status_code, "is cancelled already" in again.json()["error"]) == (409, True)


def test_a_request_that_cannot_be_met_is_400(api: TestClient) -> None:
    users = {"resource_type": "users", "format": "csv"}
    expected = {
        "resource_type is required": {"format": "csv"},
        "resource_type must be one of: ": users | {"resource_type": "cats"},
        "format is required": {"resource_type": "users"},
        "format must be one of: csv, ndjson, parquet": users | {"format": "xlsx"},
        "idempotency_token must be a valid UUID": users | {"idempotency_token": "x"},
        "users has no column 'age': expected one of": users | {"filters": {"age": 1}},
        "'king' is not a value of role": users | {"filters": {"role": "king"}},
        "users has no column 'size': expected one of": users | {"fields": ["size"]},
        "the body must be a JSON object": [],
    }
    for text, body in expected.items():
        answer = api.post(V1, json=body)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
        assert text in answer.json()["error"]


def test_a_body_that_is_no_json_is_400(api: TestClient) -> None:
    for body in (b"", b"{", b"\xff", b'{"resource_type": "\\ud800"}', b"[" * 100_000):
        answer = api.post(V1, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_the_same_token_at_once_is_one_job(api_url: str) -> None:
    token = str(uuid4())
    body = {
        "resource_type": "users",
        "format": "csv",
        "filters": {"role": "admin"},
        "idempotency_token": token,
    }
    with httpx2.Client(timeout=60) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: client.post(f"{api_url}{V1}", json=body), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_the_same_token_with_another_request_is_409(api: TestClient) -> None:
    token = str(uuid4())
    job = ask(api, idempotency_token=token)
    expected = f"the idempotency token {token} was used for another export: job {job['id']}"
    for other in ({"format": "ndjson"}, {"fields": ["id"]}, {"resource_type": "users"}):
        body = {"resource_type": "customers", "format": "csv", "idempotency_token": token} | other
        answer = api.post(V1, json=body)
        assert (answer.status_code, answer.json()) == (409, {"error": expected})


def test_a_token_whose_job_failed_may_be_used_again(api: TestClient) -> None:
    token = str(uuid4())
    first = ask(api, idempotency_token=token)
    api.post(f"{V1}/{first['id']}/cancel")
    assert ask(api, idempotency_token=token, format="ndjson")["id"] != first["id"]


def test_exports_are_listed_newest_first_page_by_page(api: TestClient) -> None:
    ids = [ask(api)["id"] for _ in range(5)]
    listed: list[str] = []
    cursor: str | None = None
    while True:
        page = api.get(V1, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        listed += [job["id"] for job in page["exports"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == ids[::-1]


def test_a_page_that_cannot_be_is_400(api: TestClient) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=%00"):
        answer = api.get(f"{V1}?{query}")
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_token_is_required_where_the_settings_say_so(settings: Settings, new_person: Any) -> None:
    strict = Stores(settings.model_copy(update={"api_token_required": True}))
    ann: Person = new_person("ann@example.com")
    with TestClient(create_app(strict)) as api:
        for path in (V1, f"{V1}/{NO_JOB}", f"{V1}/{NO_JOB}/download", f"{V1}/users/stream?format=csv"):
            answer = api.get(path)
            assert (answer.status_code, list(answer.json())) == (401, ["error"]), path
        assert api.post(V1, json={}).status_code == 401
        assert api.post(f"{V1}/{NO_JOB}/cancel").status_code == 401
        assert api.get(V1, headers=ann.headers).status_code == 200
