"""Every request gets an id, and errors in the format of its family."""

import httpx2
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings


def test_a_request_keeps_its_id(api: TestClient) -> None:
    assert api.get("/live", headers={"X-Request-ID": "march-17"}).headers["X-Request-ID"] == "march-17"


@pytest.mark.parametrize("given", ["", "with spaces", "x" * 200, "<script>"])
def test_a_request_without_a_harmless_id_gets_one(api: TestClient, given: str) -> None:
    made = api.get("/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert made != given
    assert len(made) == 36


@pytest.mark.parametrize(
    ("path", "name"), [("/nothing", "detail"), ("/api/v1/nothing", "error"), ("/v1/nothing", "error")]
)
def test_a_404_has_the_format_of_its_family(api: TestClient, path: str, name: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, list(answer.json())) == (404, [name])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/exports", "GET, POST"),
        ("DELETE", "/v1/imports", "GET, POST"),
        ("GET", "/auth/token", "POST"),
        ("POST", "/imports/x", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_405_with_those_it_has(
    api: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(("token_required", "others"), [(False, [{}]), (True, [])])
def test_the_document_says_where_a_token_is_needed(
    settings: Settings, token_required: bool, others: list[dict[str, str]]
) -> None:
    stores = Stores(settings.model_copy(update={"api_token_required": token_required}))
    paths = create_app(stores).openapi()["paths"]
    for path in ("/api/v1/imports", "/api/v1/exports/{export_id}/download"):
        assert paths[path]["get"]["security"] == [{"HTTPBearer": []}, *others]
    assert paths["/imports/{job_id}"]["get"]["security"] == [{"HTTPBearer": []}]


@pytest.mark.parametrize("secret", [None, "", "too short"])
def test_nothing_is_served_without_a_secret_worth_the_name(settings: Settings, secret: str | None) -> None:
    stores = Stores(Settings.model_validate({**settings.model_dump(), "api_jwt_secret": secret}))
    with pytest.raises(SettingsError, match="API_JWT_SECRET: set it to 32 random bytes"):
        create_app(stores)


def test_a_real_server_answers(api_url: str) -> None:
    assert httpx2.get(f"{api_url}/live").json() == {"status": "alive"}
