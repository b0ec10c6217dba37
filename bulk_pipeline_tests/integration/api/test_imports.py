"""Imports in the contract of the users, articles and comments service, line by line."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api import import_intake
from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pipeline import Pipeline

IMPORTS = "/api/v1/imports"
IDS = [f"01a00000-0000-7000-8000-00000000000{number}" for number in range(3)]
GOOD = f"id,email,name,role\n{IDS[0]},a@example.com,Ann,admin\n{IDS[1]},b@example.com,Bob,editor\n".encode()
BAD = GOOD + f"{IDS[2]},nobody,,king\n".encode()
NO_JOB = "01a00000-0000-7000-8000-000000000000"
ALWAYS = {
    "id", "job_id", "resource_type", "status", "total_records", "processed_records", "success_count",
    "failure_count", "metadata", "errors", "created_at", "updated_at",
}  # fmt: skip
AT_THE_END = ALWAYS | {"started_at", "completed_at", "percent", "rows_per_second"}
TABLES = "users, customers, articles, comments"


def send(
    api: TestClient, content: bytes | None = GOOD, *, name: str = "users.csv", person: Person | None = None,
    key: str | None = None, query: str = "", prefix: str = IMPORTS, **fields: str,
) -> Any:  # fmt: skip  # whichever client's answer it is
    headers = (person.headers if person else {}) | ({"Idempotency-Key": key} if key is not None else {})
    parts: dict[str, Any] = {
        name: (None, value) for name, value in ({"resource_type": "users"} | fields).items()
    }
    if content is not None:
        parts["file"] = (name, content)
    return api.post(f"{prefix}{query}", files=parts, headers=headers)


def sent(api: TestClient, content: bytes = GOOD, **kwargs: Any) -> dict[str, Any]:
    answer = send(api, content, **kwargs)
    assert answer.status_code == 202, answer.text
    return answer.json()


def look(api: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    answer = api.get(f"{IMPORTS}/{job['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: Any) -> tuple[int, str]:
    assert list(answer.json()) == ["error"]
    return answer.status_code, answer.json()["error"]


class TestAFileThatIsSent:
    def test_is_202_then_completed(self, api: TestClient, pipeline: Pipeline) -> None:
        job = sent(api, name="März.csv")
        assert set(job) == ALWAYS
        assert (job["id"], job["resource_type"], job["status"]) == (job["job_id"], "users", "pending")
        assert (job["total_records"], job["metadata"], job["errors"]) == (0, {"filename": "März.csv"}, [])
        pipeline.work_off()
        done = look(api, job)
        assert set(done) == AT_THE_END
        assert numbers(done) == ("completed", 2, 2, 2, 0)
        assert done["rows_per_second"] > 0
        assert done["percent"] == 100
        for name in ("created_at", "updated_at", "started_at", "completed_at"):
            assert done[name].endswith("Z")
            assert datetime.fromisoformat(done[name]).tzinfo is not None

    def test_with_bad_rows_completes_with_errors_and_says_which(
        self, api: TestClient, pipeline: Pipeline
    ) -> None:
        job = sent(api, BAD)
        pipeline.work_off()
        done = look(api, job)
        assert numbers(done) == ("completed_with_errors", 3, 3, 2, 1)
        assert [(one["row"], one["field"], one["value"]) for one in done["errors"]] == [
            (3, "email", "nobody"),
            (3, "name", None),
            (3, "role", "king"),
        ]
        assert all(set(one) == {"row", "field", "value", "reason"} for one in done["errors"])

    def test_that_cannot_be_read_is_failed_with_the_reason(self, api: TestClient, pipeline: Pipeline) -> None:
        job = sent(api, b"name\nx\n")
        pipeline.work_off()
        done = look(api, job)
        assert numbers(done) == ("failed", 0, 0, 0, 0)
        assert "email" in done["error_message"]

    def test_shows_its_first_hundred_failures(self, api: TestClient, pipeline: Pipeline) -> None:
        job = sent(api, b"email,city\n" + b"no,x\n" * 150, resource_type="customers")
        pipeline.work_off()
        done = look(api, job)
        assert [one["row"] for one in done["errors"]] == list(range(1, 101))
        assert numbers(done) == ("failed", 150, 150, 0, 150)

    def test_may_be_upserted(self, api: TestClient, pipeline: Pipeline) -> None:
        sent(api, mode="upsert")
        pipeline.work_off()
        job = sent(api, GOOD.replace(b"Ann", b"Anna"), query="?mode=upsert")
        pipeline.work_off()
        assert numbers(look(api, job)) == ("completed", 2, 2, 2, 0)
        assert pipeline.query("SELECT name FROM users ORDER BY id") == [("Anna",), ("Bob",)]

    def test_may_be_inserted_only(self, api: TestClient, pipeline: Pipeline) -> None:
        sent(api, mode="insert")
        pipeline.work_off()
        job = sent(api, mode="insert_only")
        pipeline.work_off()
        assert numbers(look(api, job)) == ("failed", 2, 2, 0, 2)

    def test_may_name_its_table_resource_and_come_by_the_short_path(self, api: TestClient) -> None:
        job = sent(api, prefix="/v1/imports", resource_type="", resource="users")
        assert api.get(f"/v1/imports/{job['id']}").json() == look(api, job)


def numbers(job: dict[str, Any]) -> tuple[Any, ...]:
    counts = ("total_records", "processed_records", "success_count", "failure_count")
    return job["status"], *(job[name] for name in counts)


class TestWhatIsWrongWithAFile:
    def test_is_reported_in_the_contracts_order(self, api: TestClient) -> None:
        """Each request is also wrong in all later checks."""
        wrong: dict[str, Any] = {"idempotency_token": "x", "mode": "never"}
        assert refused(send(api, None, resource_type="", **wrong)) == (400, "resource_type is required")
        assert refused(send(api, None, resource_type="kings", **wrong)) == (
            400,
            f"resource_type must be one of: {TABLES}",
        )
        assert refused(send(api, None, **wrong)) == (400, "idempotency_token must be a valid UUID")
        assert refused(send(api, None, mode="never")) == (400, "file is required")
        assert refused(send(api, mode="never")) == (400, "mode must be one of: insert, upsert")
        assert refused(send(api, b"")) == (400, "the file is empty")

    def test_an_empty_file_of_json_lines_has_zero_rows(self, api: TestClient) -> None:
        assert sent(api, b"", name="users.ndjson")["status"] == "pending"

    def test_a_request_without_a_form_names_no_table(self, api: TestClient) -> None:
        requests: list[dict[str, Any]] = [{}, {"data": {"x": "y"}}, {"content": b"x"}]
        for given in requests:
            assert refused(api.post(IMPORTS, **given)) == (400, "resource_type is required")

    def test_a_text_in_the_place_of_the_file_is_no_file(self, api: TestClient) -> None:
        assert refused(send(api, None, file="email")) == (400, "file is required")

    def test_a_key_that_is_none_is_400(self, api: TestClient) -> None:
        for key, length in ((" ", 0), ("k" * 129, 129)):
            message = f"Idempotency-Key has {length} characters: send 1 to 128, or no such header"
            assert refused(send(api, key=key)) == (400, message)

    def test_a_file_that_is_no_table_is_refused_at_once(self, api: TestClient, pipeline: Pipeline) -> None:
        status, message = refused(send(api, b"%PDF-1.7 ..."))
        assert (status, "this is a PDF document" in message) == (400, True)
        assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(0,)]

    def test_odd_names_are_accepted(self, api: TestClient) -> None:
        for name in ("a\0b.csv", "x" * 1_000, "../../etc/passwd", " "):
            assert sent(api, name=name)["status"] == "pending"

    def test_too_large_is_413(self, settings: Settings) -> None:
        with api_with(settings, api_max_upload_bytes=1_000) as api:
            status, message = refused(send(api, b"x" * 100_000))
        assert (status, "larger than 1,000 bytes" in message) == (413, True)

    def test_a_store_that_is_down_is_503_and_the_key_may_be_used_again(
        self, api: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def outage(*_: object, **__: object) -> None:
            raise StoreUnavailableError("s3://archive: away")

        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "upload", outage)
            answer = send(api, key="k")
        assert (refused(answer)[0], int(answer.headers["Retry-After"]) > 0) == (503, True)
        assert send(api, key="k").status_code == 202


@contextmanager
def api_with(settings: Settings, **changed: object) -> Iterator[TestClient]:
    with TestClient(create_app(Stores(settings.model_copy(update=changed)))) as client:
        yield client


class TestTheSameRequestAgain:
    def test_is_the_same_job(self, api: TestClient) -> None:
        token = str(uuid4())
        first = sent(api, idempotency_token=token)
        assert sent(api, idempotency_token=token.upper()) == first
        assert sent(api, key=f" {token} ") == first

    def test_fifty_times_at_once_is_one_job(self, api_url: str, pipeline: Pipeline) -> None:
        token = str(uuid4())

        def post(_: int) -> tuple[int, str]:
            answer = httpx2.post(
                f"{api_url}{IMPORTS}",
                files={"file": ("a.csv", GOOD)},
                data={"resource_type": "users", "idempotency_token": token},
                timeout=120,
            )
            return answer.status_code, answer.json()["id"]

        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(post, range(50)))
        assert {status for status, _ in answers} == {202}
        assert len({job for _, job in answers}) == 1
        pipeline.work_off()
        assert pipeline.query("SELECT count(*) FROM users") == [(2,)]

    def test_with_something_else_is_409(self, api: TestClient) -> None:
        sent(api, key="k")
        others: list[dict[str, Any]] = [{"content": BAD}, {"mode": "upsert"}, {"resource_type": "customers"}]
        for other in others:
            assert refused(send(api, **other, key="k"))[0] == 409

    def test_is_another_one_for_another_client(self, api: TestClient, ann: Person, bob: Person) -> None:
        jobs = {send(api, key="k", person=person).json()["id"] for person in (None, ann, bob)}
        customers = api.post("/imports", files={"file": GOOD}, headers=ann.headers | {"Idempotency-Key": "k"})
        assert len(jobs | {customers.json()["id"]}) == 4


class TestLooking:
    def test_at_a_missing_job(self, api: TestClient) -> None:
        for path in ("", "/errors"):
            assert refused(api.get(f"{IMPORTS}/{NO_JOB}{path}"))[0] == 404
            assert refused(api.get(f"{IMPORTS}/march{path}"))[0] == 400
        assert refused(api.post(f"{IMPORTS}/{NO_JOB}/cancel"))[0] == 404
        assert refused(api.post(f"{IMPORTS}/march/cancel"))[0] == 400

    def test_that_of_another_account_is_404(self, api: TestClient, ann: Person, bob: Person) -> None:
        job = send(api, person=ann).json()["id"]
        assert api.get(f"{IMPORTS}/{job}", headers=ann.headers).status_code == 200
        for headers in ({}, bob.headers):
            assert api.get(f"{IMPORTS}/{job}", headers=headers).status_code == 404
            assert api.get(f"{IMPORTS}/{job}/errors", headers=headers).status_code == 404
            assert api.post(f"{IMPORTS}/{job}/cancel", headers=headers).status_code == 404
            assert api.get(IMPORTS, headers=headers).json()["imports"] == []

    def test_a_token_is_required_if_the_settings_say_so(self, settings: Settings, ann: Person) -> None:
        with api_with(settings, api_token_required=True) as api:
            for answer in (send(api, None), api.get(IMPORTS), api.get(f"{IMPORTS}/{NO_JOB}")):
                assert refused(answer)[0] == 401
            assert send(api, person=ann).status_code == 202

    def test_a_repeated_drop_shows_as_completed_with_the_first_job_and_says_that_it_was_skipped(
        self, api: TestClient, pipeline: Pipeline
    ) -> None:
        for _ in range(2):
            pipeline.drop("users/a.csv", GOOD)
            pipeline.work_off()
        again, first = api.get(IMPORTS).json()["imports"]
        assert numbers(again) == ("completed", 0, 0, 0, 0)
        day = pipeline.stores.ledger.get(first["id"]).arrived_at
        assert again["metadata"] == {
            "filename": "a.csv",
            "first_job_id": first["id"],
            "warnings": [
                f"skipped: imported before as job {first['id']} on {day:%Y-%m-%d %H:%M} UTC; "
                "drop it with force to import it again"
            ],
        }
        assert look(api, again)["errors"] == []


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_a_file_that_is_sent_again_without_a_key_is_imported_again(
    api: TestClient, pipeline: Pipeline, mode: str
) -> None:
    for _ in range(2):
        sent(api, GOOD, resource_type="users", mode=mode)
        pipeline.work_off()
    again, first = api.get(IMPORTS).json()["imports"]
    assert (first["success_count"], again["id"] != first["id"]) == (first["total_records"], True)
    expected = ("failed", 0) if mode == "insert" else ("completed", again["total_records"])
    assert (again["status"], again["success_count"]) == expected
    assert "first_job_id" not in again["metadata"]


class TestTheFailures:
    @pytest.fixture
    def job(self, api: TestClient, pipeline: Pipeline) -> str:
        job = sent(api, b"email,city\n" + b"no,x\n" * 25, resource_type="customers")["id"]
        pipeline.work_off()
        return job

    def test_come_page_by_page(self, api: TestClient, job: str) -> None:
        rows, cursor = list[int](), None
        while True:
            given = {"limit": "10"} | ({"cursor": cursor} if cursor else {})
            page = api.get(f"{IMPORTS}/{job}/errors", params=given).json()
            assert set(page) == {"job_id", "errors", "next_cursor"}
            rows += [one["row"] for one in page["errors"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert rows == list(range(1, 26))
        assert page["errors"][-1] == {
            "row": 25, "line": 26, "field": "email", "value": "no", "code": "bad_format",
            "reason": page["errors"][-1]["reason"],
        }  # fmt: skip

    def test_are_not_given_for_a_wrong_question(self, api: TestClient, job: str) -> None:
        cursors = [f"cursor={text}" for text in ("-1", "3", "99999999", "x", "%00", "9" * 65)]
        for query in ("limit=0", "limit=1001", "limit=x", "format=pdf", *cursors):
            assert refused(api.get(f"{IMPORTS}/{job}/errors?{query}"))[0] == 400

    def test_come_as_a_file(self, api: TestClient, job: str) -> None:
        for kind, media_type, begin in (
            ("csv", "text/csv; charset=utf-8", "row,error,raw\n1,"),
            ("ndjson", "application/x-ndjson", '{"row":1,'),
        ):
            answer = api.get(f"{IMPORTS}/{job}/errors?format={kind}")
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
            assert answer.headers["Content-Disposition"] == f'attachment; filename="errors_{job}.{kind}"'
            assert answer.text.startswith(begin)
            assert len(answer.text.splitlines()) == 25 + (kind == "csv")

    def test_of_a_job_that_has_none_yet_or_none_at_all(self, api: TestClient, pipeline: Pipeline) -> None:
        errors = f"{IMPORTS}/{sent(api)['id']}/errors"
        assert refused(api.get(errors))[0] == 409
        pipeline.work_off()
        assert (api.get(errors).json()["errors"], api.get(errors).json()["next_cursor"]) == ([], None)
        assert refused(api.get(f"{errors}?format=csv"))[0] == 404


class TestTheList:
    def test_is_newest_first_and_paged(self, api: TestClient) -> None:
        jobs = [sent(api)["id"] for _ in range(5)]
        page = api.get(f"{IMPORTS}?limit=3").json()
        rest = api.get(f"{IMPORTS}?limit=3&cursor={page['next_cursor']}").json()
        assert [one["id"] for one in page["imports"] + rest["imports"]] == jobs[::-1]
        assert (len(page["imports"]), rest["next_cursor"]) == (3, None)
        assert set(page["imports"][0]) == ALWAYS - {"errors"}

    def test_is_of_one_table_or_status(self, api: TestClient, pipeline: Pipeline) -> None:
        pipeline.drop("customers/a.csv", b"email\na@example.com\n")
        pipeline.work_off()
        sent(api)

        def tables(query: str) -> list[str]:
            return [one["resource_type"] for one in api.get(f"{IMPORTS}?{query}").json()["imports"]]

        assert tables("") == ["users", "customers"]
        assert tables("resource=users") == ["users"]
        assert tables("status=completed") == ["customers"]
        assert tables("resource=users&status=completed") == []

    def test_is_not_given_for_a_wrong_question(self, api: TestClient) -> None:
        cursors = [f"cursor={text}" for text in ("x", NO_JOB, "%00")]
        for query in ("limit=0", "limit=201", "status=done", "resource=kings", "resource=%00", *cursors):
            assert refused(api.get(f"{IMPORTS}?{query}"))[0] == 400


def test_a_cancelled_import_is_202_and_409_from_then_on(api: TestClient, pipeline: Pipeline) -> None:
    job = sent(api)
    answer = api.post(f"{IMPORTS}/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert refused(api.post(f"{IMPORTS}/{job['id']}/cancel"))[0] == 409
    pipeline.work_off()
    assert numbers(look(api, job)) == ("cancelled", 0, 0, 0, 0)


class TestAFileAtAUrl:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Iterator[str]:
        """A server on this machine with users.csv and `data`."""

        class Files(SimpleHTTPRequestHandler):
            def __init__(self, *given: Any) -> None:
                super().__init__(*given, directory=str(tmp_path))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        (tmp_path / "users.csv").write_bytes(GOOD)
        (tmp_path / "data").write_bytes(b'{"email": "a@example.com"}\n')
        (tmp_path / "empty.csv").write_bytes(b"")
        server = HTTPServer(("127.0.0.1", 0), Files)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()

    @pytest.fixture
    def trusting(self, settings: Settings, here: str) -> Iterator[TestClient]:
        with api_with(settings, api_fetch_private=True, api_fetch_ports=here.rpartition(":")[2]) as client:
            yield client

    def test_is_fetched_then_imported(self, trusting: TestClient, here: str, pipeline: Pipeline) -> None:
        answer = trusting.post(IMPORTS, json={"resource": "users", "file_url": f"{here}/users.csv"})
        assert (answer.status_code, set(answer.json())) == (202, ALWAYS)
        assert answer.json()["metadata"] == {"filename": "users.csv"}
        pipeline.work_off()
        assert numbers(look(trusting, answer.json())) == ("completed", 2, 2, 2, 0)

    def test_may_have_a_format_a_mode_and_a_key(
        self, trusting: TestClient, here: str, pipeline: Pipeline
    ) -> None:
        given = {"resource": "customers", "file_url": f"{here}/data", "format": "ndjson", "mode": "upsert"}
        answers = [trusting.post(IMPORTS, json=given, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["metadata"] == {"filename": "data.ndjson"}
        pipeline.work_off()
        assert pipeline.query("SELECT email FROM customers") == [("a@example.com",)]

    def test_inside_is_refused_at_once(self, settings: Settings, here: str, pipeline: Pipeline) -> None:
        inside = ("127.0.0.1", "localhost", "0", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254")
        with api_with(settings, api_fetch_ports=here.rpartition(":")[2]) as api:
            for host in inside:
                url = f"{here.replace('127.0.0.1', host)}/users.csv"
                status, message = refused(api.post(IMPORTS, json={"resource": "users", "file_url": url}))
                assert (status, "not on the public internet" in message) == (400, True)
        assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(0,)]

    def test_problems_are_reported_in_the_same_order(self, trusting: TestClient, here: str) -> None:
        wrong = {"idempotency_token": "x", "mode": "never", "format": "doc"}

        def post(**kwargs: object) -> tuple[int, str]:
            return refused(trusting.post(IMPORTS, json=kwargs))

        assert post(**wrong) == (400, "resource is required")
        assert post(resource="kings", **wrong) == (400, f"resource must be one of: {TABLES}")
        assert post(resource="users", **wrong) == (400, "idempotency_token must be a valid UUID")
        good = {"resource": "users", "mode": "never", "format": "doc"}
        assert post(**good) == (400, "file_url is required")
        assert post(**good, file_url="ftp://a.example/x")[1].startswith(
            "file_url must be an http:// or https://"
        )
        assert post(**good, file_url=here) == (400, "format must be one of: csv, ndjson, json, parquet, xlsx")
        assert post(resource="users", mode="never", file_url=here) == (
            400,
            "mode must be one of: insert, upsert",
        )
        assert post(resource="users", file_url=f"{here}/none") == (400, "127.0.0.1 answers 404, not the file")
        assert post(resource="users", file_url=f"{here}/empty.csv") == (400, "the file is empty")
        assert post(resource="users", file_url=7) == (400, "'file_url' must be a string")

    def test_a_body_that_is_no_object_is_refused(self, api: TestClient) -> None:
        headers = {"Content-Type": "application/json"}
        for body, status in ((b"", 400), (b"{", 400), (b"[]", 400), (b"\xff", 400), (b" " * 70_000, 413)):
            assert refused(api.post(IMPORTS, content=body, headers=headers))[0] == status

    def test_larger_than_the_settings_say_is_refused(self, settings: Settings, here: str) -> None:
        port = here.rpartition(":")[2]
        changed = {"api_fetch_private": True, "api_fetch_ports": port, "api_fetch_max_bytes": 10}
        with api_with(settings, **changed) as api:
            given = {"resource": "users", "file_url": f"{here}/users.csv"}
            assert refused(api.post(IMPORTS, json=given)) == (400, "the file is larger than 10 bytes")

    def test_is_503_while_too_many_are_on_their_way(
        self, trusting: TestClient, here: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(import_intake, "FETCH_SLOTS", threading.BoundedSemaphore(1))
        given = {"resource": "users", "file_url": f"{here}/users.csv"}
        with import_intake.FETCH_SLOTS:  # somebody's fetch
            assert refused(trusting.post(IMPORTS, json=given))[0] == 503
        assert trusting.post(IMPORTS, json=given).status_code == 202


def test_both_kinds_of_body_are_documented_once(api: TestClient) -> None:
    document = api.get("/openapi.json").json()
    content = document["paths"][IMPORTS]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    assert not [path for path in document["paths"] if path.startswith("/v1")]
