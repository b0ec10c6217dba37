"""What every request gets: an id, and errors in the words of its family."""

import httpx2
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.orchestration.stores import Stores
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
def test_what_is_not_there_is_said_in_the_words_of_the_family(api: TestClient, path: str, name: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, list(answer.json())) == (404, [name])


@pytest.mark.parametrize("secret", [None, "", "too short"])
def test_nothing_is_served_without_a_secret_worth_the_name(settings: Settings, secret: str | None) -> None:
    stores = Stores(Settings.model_validate({**settings.model_dump(), "api_jwt_secret": secret}))
    with pytest.raises(SettingsError, match="API_JWT_SECRET: set it to 32 random bytes"):
        create_app(stores)


def test_a_real_server_answers(api_url: str) -> None:
    assert httpx2.get(f"{api_url}/live").json() == {"status": "alive"}
