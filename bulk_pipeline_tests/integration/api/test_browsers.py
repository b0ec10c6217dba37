"""Rights of browsers, and headers of answers."""

import re

import pytest
from starlette.testclient import TestClient

from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pipeline import Pipeline

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/live", "/api/v1/exports", "/docs", "/nothing"])
def test_a_name_that_is_not_ours_is_421(api: TestClient, path: str) -> None:
    answer = api.get(path, headers={"Host": "evil.example"})
    message = "the request's Host is 'evil.example', which is not a name of this server: see API_HOSTS"
    assert (answer.status_code, list(answer.json().values())) == (421, [message])


def test_a_write_of_another_site_does_nothing(api: TestClient, ann: Person, pipeline: Pipeline) -> None:
    before = pipeline.query("SELECT count(*) FROM bulk.accounts")
    file = {"resource_type": (None, "users"), "file": ("users.csv", b"email\n")}
    body = {"resource_type": "users", "format": "csv"}
    login = {"email": "eve@example.com", "password": "correct horse"}
    answers = [
        api.post("/api/v1/imports", files=file, headers=FOREIGN),
        api.post("/api/v1/exports", json=body, headers=FOREIGN),
        api.post("/auth/register", json=login, headers=FOREIGN),
        api.post("/imports", files=file, headers=FOREIGN | ann.headers | {"Idempotency-Key": "k"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert [list(answer.json()) for answer in answers] == [["error"], ["error"], ["detail"], ["detail"]]
    assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(0,)]
    assert pipeline.query("SELECT count(*) FROM bulk.export_jobs") == [(0,)]
    assert pipeline.query("SELECT count(*) FROM bulk.accounts") == before


def test_every_answer_has_the_headers_that_browsers_obey(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ["/live", "/docs", "/openapi.json", "/nothing", "/api/v1/exports", "/api/v1/imports/x"]
    answers = [api.get(path) for path in paths]
    answers += [api.get("/live", headers={"Host": "x"}), api.post("/auth/token", json={})]

    def fail(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.app.state.stores.exports, "newest", fail)  # pyright: ignore  # noqa: PGH003
    answers.append(api.get("/api/v1/exports"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 200, 400, 421, 422, 500]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS, answer.url
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answers[4].headers["Cache-Control"] == "no-store"
    assert answers[4].headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_documentation_needs_nobody_else(api: TestClient) -> None:
    page = api.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) == 3
    for address in addresses:
        assert address.startswith("/docs/"), address
        answer = api.get(address)
        assert answer.status_code == 200, address
        assert len(answer.content) > 1_000
    assert "https://" not in page
    assert api.get("/redoc").status_code == 404
