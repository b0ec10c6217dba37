"""The API in the test's own process, on real Postgres and real S3; `pipeline` runs its jobs."""

from collections.abc import Callable, Iterator

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.tokens import new_token
from bulk_pipeline.ledger import accounts
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import SECRET, Person, serving


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheap hashes; real ones take a large part of a second each."""
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "HASH", PasswordHash((hasher,)))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings.model_validate(
        {**settings.model_dump(), "api_jwt_secret": SECRET, "api_hosts": "testserver"}
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """A client of the application without a network."""
    with TestClient(create_app(Stores(settings)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def new_person(settings: Settings) -> Iterator[Callable[[str], Person]]:
    """A function that creates accounts, by address, which may import and export every table and see their own jobs."""
    stores = Stores(settings)

    def make(email: str) -> Person:
        account = stores.accounts.register(email, "correct horse", Rights(("*",), ("*",)))
        return Person(account.id, new_token(settings, account))

    yield make
    stores.close()


@pytest.fixture
def ann(new_person: Callable[[str], Person]) -> Person:
    return new_person("ann@example.com")


@pytest.fixture
def bob(new_person: Callable[[str], Person]) -> Person:
    return new_person("bob@example.com")


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """The application behind a real server, for streams, broken connections and many clients."""
    with serving(create_app(Stores(settings))) as url:
        yield url
