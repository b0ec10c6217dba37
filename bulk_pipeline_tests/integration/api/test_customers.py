"""Imports of customers in the contract of the replaced service, line by line."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import psycopg
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pipeline import Pipeline

GOOD = b"email,city\na@example.com,Rome\nb@example.com,Oslo\n"
BAD = b"email\na@example.com\nnobody\nno\nnever\nnot\n"
NO_JOB = "01a00000-0000-7000-8000-000000000000"
FIELDS = {
    "id", "status", "mode", "filename", "total_rows", "processed_rows", "error", "created_at", "error_count",
    "inserted", "updated", "unchanged", "superseded", "finished_at",
}  # fmt: skip


def send(
    api: TestClient, person: Person | None, content: bytes = GOOD, *, name: str = "a.csv", mode: str = "insert_only",
    **headers: str,
) -> Any:  # fmt: skip  # whichever client's answer it is
    headers = {"Idempotency_Key": uuid4().hex} | headers
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.post(
        f"/imports?mode={mode}",
        files={"file": (name, content)},
        headers=known | (person.headers if person else {}),
    )


def look(api: TestClient, person: Person, job_id: str) -> dict[str, Any]:
    answer = api.get(f"/imports/{job_id}", headers=person.headers)
    assert answer.status_code == 200
    return answer.json()


def test_a_good_file_is_pending_then_done(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    answer = send(api, ann, name="März.csv")
    job = answer.json()
    assert (answer.status_code, set(job)) == (201, FIELDS)
    assert (job["status"], job["mode"], job["filename"], job["total_rows"]) == (
        "pending",
        "insert_only",
        "März.csv",
        None,
    )
    pipeline.work_off()
    done = look(api, ann, job["id"])
    assert (done["status"], done["total_rows"], done["processed_rows"], done["inserted"]) == ("done", 2, 2, 2)
    assert (done["error"], done["error_count"], done["finished_at"] is None) == (None, 0, False)


def test_failed_means_that_a_row_was_rejected_and_the_good_ones_are_in(
    api: TestClient, ann: Person, pipeline: Pipeline
) -> None:
    job = send(api, ann, BAD).json()
    pipeline.work_off()
    done = look(api, ann, job["id"])
    assert (done["status"], done["error_count"], done["inserted"], done["processed_rows"]) == (
        "failed",
        4,
        1,
        5,
    )
    message = done["error"]
    assert message.startswith("errors: 4; first: row 2: ")
    assert (message.count(" | "), message.endswith(" ...")) == (2, True)
    assert "local@domain.tld" in message


def test_an_unreadable_file_fails_with_its_message(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    job = send(api, ann, b"name\nx\n").json()
    pipeline.work_off()
    done = look(api, ann, job["id"])
    assert (done["status"], done["error_count"]) == ("failed", 0)
    assert "email" in done["error"]


def test_processed_rows_grow_while_it_runs(
    api: TestClient, ann: Person, pipeline: Pipeline, settings: Settings
) -> None:
    """Another transaction inserts the address of the last batch, which waits until the progress of the first was seen."""
    small = Stores(settings.model_copy(update={"bulk_batch_rows": 2, "bulk_load_connections": 1}))
    job = send(api, ann, b"email\na@example.com\nb@example.com\nc@example.com\n").json()
    with psycopg.connect(small.database_url) as somebody:
        somebody.execute("INSERT INTO customers (email) VALUES ('c@example.com')")

        def seen() -> dict[str, Any]:
            until = time.monotonic() + 60
            try:
                while not (now := look(api, ann, job["id"]))["processed_rows"]:
                    assert time.monotonic() < until, "no batch was committed"
                return now
            finally:
                somebody.rollback()

        with ThreadPoolExecutor(1) as threads:
            watching = threads.submit(seen)
            Pipeline(small, pipeline.instance).work_off()
            now = watching.result()
    small.close()
    assert (now["status"], now["processed_rows"], now["total_rows"]) == ("processing", 2, 3)
    done = look(api, ann, job["id"])
    assert (done["status"], done["processed_rows"], done["total_rows"]) == ("done", 3, 3)


def test_upsert_is_a_mode(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    send(api, ann)
    pipeline.work_off()
    job = send(api, ann, GOOD.replace(b"Rome", b"Pisa"), mode="upsert").json()
    pipeline.work_off()
    done = look(api, ann, job["id"])
    assert (done["status"], done["updated"], done["unchanged"]) == ("done", 1, 1)


def test_the_same_request_again_is_200_with_the_same_job(api: TestClient, ann: Person) -> None:
    first, again = (send(api, ann, Idempotency_Key=key) for key in ("march", "  march "))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_fifty_times_the_same_request_at_once_is_one_job(
    api_url: str, ann: Person, pipeline: Pipeline
) -> None:
    with httpx2.Client(base_url=api_url, timeout=120) as client, ThreadPoolExecutor(50) as threads:

        def post(_: int) -> tuple[int, str]:
            sent = {"files": {"file": ("a.csv", GOOD)}, "headers": ann.headers | {"Idempotency-Key": "k"}}
            answer = client.post("/imports", **sent)
            return answer.status_code, answer.json()["id"]

        answers = list(threads.map(post, range(50)))
    assert sorted(status for status, _ in answers) == [200] * 49 + [201]
    assert len({job for _, job in answers}) == 1
    pipeline.work_off()
    assert pipeline.query("SELECT count(*) FROM customers") == [(2,)]


@pytest.mark.parametrize("other", [{"content": BAD}, {"mode": "upsert"}], ids=str)
def test_a_key_with_another_file_or_mode_is_409(api: TestClient, ann: Person, other: dict[str, Any]) -> None:
    send(api, ann, Idempotency_Key="k")
    answer = send(api, ann, **other, Idempotency_Key="k")
    assert answer.status_code == 409
    assert "'k' was used for another file" in answer.json()["detail"]


def test_a_key_is_its_users(api: TestClient, ann: Person, bob: Person) -> None:
    jobs = {send(api, person, Idempotency_Key="k").json()["id"] for person in (ann, bob)}
    assert len(jobs) == 2


def test_the_order_of_the_checks(api: TestClient, ann: Person) -> None:
    """Each request is also wrong in all later checks."""
    assert send(api, None, b"", mode="never", Idempotency_Key=" ").status_code == 401
    assert send(api, ann, b"", mode="never", Idempotency_Key=" ").status_code == 422
    answer = api.post("/imports", headers=ann.headers | {"Idempotency-Key": " "})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "file"])
    answer = api.post("/imports", headers=ann.headers)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "file"])
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": " "}):
        answer = api.post("/imports", files={"file": ("a.csv", b"")}, headers=ann.headers | headers)
        assert (answer.status_code, answer.json()) == (400, {"detail": "Idempotency-Key header required"})
    answer = send(api, ann, b"")
    assert (answer.status_code, answer.json()["detail"]) == (400, "the file is empty")


def test_a_request_without_a_key_makes_no_job(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    answer = api.post("/imports", files={"file": ("a.csv", GOOD)}, headers=ann.headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "Idempotency-Key header required"})
    assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(0,)]


def test_a_key_that_is_too_long_is_400(api: TestClient, ann: Person) -> None:
    assert send(api, ann, Idempotency_Key="k" * 129).status_code == 400
    assert send(api, ann, Idempotency_Key="k" * 128).status_code == 201


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'filename="a\x00b.csv"', "ab.csv"),
        (b'filename="../\xe4.csv"', "../\u00e4.csv"),
        (b'filename=""', "upload"),
    ],
)
def test_a_file_may_have_an_odd_name(api: TestClient, ann: Person, disposition: bytes, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; ' + disposition
    headers = ann.headers | {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": "k"}
    answer = api.post("/imports", content=head + b"\r\n\r\n" + GOOD + b"\r\n--b--\r\n", headers=headers)
    assert (answer.status_code, answer.json()["filename"]) == (201, name)


def test_a_file_that_is_no_table_is_refused_at_once(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    answer = send(api, ann, b"%PDF-1.7 ...")
    assert (answer.status_code, "this is a PDF document" in answer.json()["detail"]) == (400, True)
    assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(0,)]


def test_a_file_that_is_too_large_is_413(settings: Settings, ann: Person) -> None:
    small = Stores(settings.model_copy(update={"api_max_upload_bytes": 1_000}))
    with TestClient(create_app(small)) as api:
        answer = send(api, ann, b"x" * 100_000)
    assert (answer.status_code, "larger than 1,000 bytes" in answer.json()["detail"]) == (413, True)


def test_a_store_that_is_down_is_503_and_the_key_may_be_used_again(
    api: TestClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outage(*_: object, **__: object) -> None:
        raise StoreUnavailableError("s3://archive: away")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "upload", outage)
        answer = send(api, ann, Idempotency_Key="k")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert send(api, ann, Idempotency_Key="k").status_code == 201


def test_a_job_is_its_owners(api: TestClient, ann: Person, bob: Person) -> None:
    job = send(api, ann).json()["id"]
    assert api.get(f"/imports/{job}").status_code == 401
    assert api.get(f"/imports/{job}", headers=bob.headers).status_code == 404
    assert api.get(f"/imports/{job}/errors", headers=bob.headers).status_code == 404
    assert api.get(f"/imports/{NO_JOB}", headers=ann.headers).status_code == 404
    for path in ("/imports/march", "/imports/march/errors"):
        assert api.get(path, headers=ann.headers).status_code == 422


def test_errors_are_a_link_that_needs_no_token(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    job = send(api, ann, BAD).json()["id"]
    pipeline.work_off()
    answer = api.get(f"/imports/{job}/errors", headers=ann.headers)
    assert answer.status_code == 200
    file = httpx2.get(answer.json()["url"])
    assert file.text.startswith("row,error,raw\n2,")
    assert f"errors_{job}.csv" in file.headers["Content-Disposition"]
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in answer.json()["url"]
    assert "X-Amz-Expires=3600" in answer.json()["url"]


def test_a_link_is_signed_for_the_host_that_clients_know(
    settings: Settings, ann: Person, pipeline: Pipeline
) -> None:
    public = str(settings.s3_endpoint_url).replace("127.0.0.1", "localhost")
    with TestClient(
        create_app(Stores(settings.model_copy(update={"s3_public_endpoint_url": public})))
    ) as api:
        job = send(api, ann, BAD).json()["id"]
        pipeline.work_off()
        url = api.get(f"/imports/{job}/errors", headers=ann.headers).json()["url"]
    assert urlsplit(url).hostname == "localhost"
    assert httpx2.get(url).text.startswith("row,error,raw\n")


def test_errors_of_a_job_that_has_none_yet_or_none_at_all(
    api: TestClient, ann: Person, pipeline: Pipeline
) -> None:
    job = send(api, ann).json()["id"]
    assert api.get(f"/imports/{job}/errors", headers=ann.headers).status_code == 409
    pipeline.work_off()
    assert api.get(f"/imports/{job}/errors", headers=ann.headers).status_code == 404
    assert api.get(f"/imports/{job}/errors").status_code == 401
    assert api.get(f"/imports/{NO_JOB}/errors", headers=ann.headers).status_code == 404
