"""The API in the test's own process, on real Postgres and real S3; what it takes in is worked off by `pipeline`."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.connections import Connection
from bulk_pipeline.api.tokens import new_token
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores import accounts

SECRET = "a secret of the tests, thirty-two bytes or more"  # nothing else is signed with it


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real ones take a large part of a second each."""
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "HASH", PasswordHash((hasher,)))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings.model_validate(
        {**settings.model_dump(), "api_jwt_secret": SECRET, "api_hosts": "testserver"}
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """The application, called without a network."""
    with TestClient(create_app(Stores(settings)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def new_person(settings: Settings) -> Iterator[Callable[[str], Person]]:
    """Makes accounts, by address."""
    stores = Stores(settings)

    def make(email: str) -> Person:
        account = stores.accounts.register(email, "correct horse")
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
    """The application behind a real server, for what only a network shows: streams, broken connections, crowds."""
    with serving(create_app(Stores(settings))) as url:
        yield url


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """A real server in a thread of this process, and its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, lifespan="on", http=Connection, ws="none")
    )
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server has stopped"
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
