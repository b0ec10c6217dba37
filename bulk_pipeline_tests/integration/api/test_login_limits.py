"""Logins under attack: limits by client and account, and a bounded queue of hashes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.hashing import HASHED_AT_A_TIME, OF_ONE_CLIENT, WAITING
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.ledger import accounts, login_limits
from bulk_pipeline.ledger.login_limits import WINDOW_SECONDS
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings, read_settings
from bulk_pipeline.stack.ports import HOST, free_port
from bulk_pipeline.stack.process import running
from bulk_pipeline_tests.integration.api.test_accounts import execute
from bulk_pipeline_tests.rigs.api import Person, service_of, serving

ANN, BOB = "ann@example.com", "bob@example.com"
RIGHT, WRONG = "correct horse", "wrong horse"
OWNER, STRANGER, PROXY = "192.0.2.1", "198.51.100.7", "10.9.0.2"
FAILURES, OF_ATTACKED, ATTACKED, OF_CLIENT = 3, 1, 6, 5
Login = Callable[..., Any]


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {
        "FAILURES": FAILURES,
        "FAILURES_OF_ATTACKED": OF_ATTACKED,
        "ATTACKED": ATTACKED,
        "FAILURES_OF_CLIENT": OF_CLIENT,
    }
    for name, limit in limits.items():
        monkeypatch.setattr(login_limits, name, limit)


def behind_proxy(settings: Settings, trusted: str = "10.9.0.0/24") -> Stores:
    return Stores(Settings.model_validate({**settings.model_dump(), "api_trusted_proxies": trusted}))


@contextmanager
def login_at(stores: Stores, peer: str = PROXY) -> Iterator[Login]:
    """Log in through a proxy that names the client; return the status."""
    with TestClient(create_app(stores), client=(peer, 50000)) as api:

        def login(client: str, password: str, email: str = ANN) -> int:
            body = {"email": email, "password": password}
            return api.post("/auth/token", json=body, headers={"X-Forwarded-For": client}).status_code

        yield login


@pytest.fixture
def login(settings: Settings, ann: Person, bob: Person) -> Iterator[Login]:
    with login_at(behind_proxy(settings)) as result:
        yield result


def test_strangers_do_not_lock_the_owner_out(login: Login) -> None:
    assert [login(STRANGER, WRONG) for _ in range(FAILURES + 1)] == [401] * FAILURES + [429]
    assert login(STRANGER, RIGHT) == 429
    assert login(OWNER, RIGHT) == 200
    assert login(OWNER, WRONG) == 401
    assert login(OWNER, RIGHT) == 200


def test_a_client_that_tries_many_accounts_is_refused_at_all(login: Login) -> None:
    names = [f"{number}@example.com" for number in range(OF_CLIENT)]
    assert [login(STRANGER, WRONG, name) for name in names] == [401] * OF_CLIENT
    assert login(STRANGER, WRONG, "another@example.com") == 429
    assert login(STRANGER, RIGHT) == 429
    assert login(OWNER, RIGHT) == 200


def test_a_login_of_ones_own_does_not_forget_the_failures_at_others(login: Login) -> None:
    for number in range(OF_CLIENT - 1):
        login(STRANGER, WRONG, f"{number}@example.com")
        assert login(STRANGER, RIGHT, BOB) == 200
    assert login(STRANGER, WRONG, "another@example.com") == 401
    assert login(STRANGER, RIGHT, BOB) == 429


def test_guesses_from_many_clients_slow_each_down_and_lock_no_owner_out(login: Login) -> None:
    for number in range(ATTACKED):
        assert login(f"198.51.100.{number}", WRONG) == 401
    for number in range(ATTACKED):
        assert login(f"198.51.100.{number}", RIGHT) == 429, "each had its try"
    assert [login("203.0.113.9", WRONG) for _ in range(OF_ATTACKED + 1)] == [401] * OF_ATTACKED + [429]
    assert login(OWNER, RIGHT) == 200
    assert login("198.51.100.0", RIGHT, BOB) == 200, "it is Ann's account that is under attack"


def test_a_refused_client_may_retry_after_the_announced_seconds(settings: Settings, ann: Person) -> None:
    body = {"email": ANN, "password": WRONG}
    with TestClient(create_app(Stores(settings))) as api:
        for number in range(FAILURES):
            api.post("/auth/token", json=body)
            execute(
                settings, f"UPDATE bulk.login_failures SET failed_at = failed_at - interval '{10 + number} s'"
            )
        seconds = int(api.post("/auth/token", json=body).headers["Retry-After"])
        assert WINDOW_SECONDS - 60 < seconds < WINDOW_SECONDS
        execute(
            settings, f"UPDATE bulk.login_failures SET failed_at = failed_at - interval '{seconds + 1} s'"
        )
        assert api.post("/auth/token", json=body | {"password": RIGHT}).status_code == 200


def test_failures_are_those_of_every_process_and_survive_a_restart(settings: Settings, ann: Person) -> None:
    with login_at(behind_proxy(settings)) as one, login_at(behind_proxy(settings)) as other:
        for number in range(FAILURES):
            assert (one if number % 2 else other)(STRANGER, WRONG) == 401
    with login_at(behind_proxy(settings)) as after:
        assert after(STRANGER, RIGHT) == 429


class TestTheAddressOfAClient:
    def test_is_not_taken_from_an_untrusted_proxy(self, settings: Settings, ann: Person) -> None:
        with login_at(behind_proxy(settings), peer="203.0.113.9") as login:
            result = [login(f"192.0.2.{number}", WRONG) for number in range(FAILURES + 1)]
        assert result == [401] * FAILURES + [429]

    def test_is_the_one_that_the_proxy_has_added_not_the_ones_before(self, login: Login) -> None:
        result = [login(f"192.0.2.{number}, {STRANGER}", WRONG) for number in range(FAILURES + 1)]
        assert result == [401] * FAILURES + [429]
        assert login(STRANGER, RIGHT) == 429

    def test_is_a_network_of_64_bits_in_ipv6(self, login: Login) -> None:
        result = [login(f"2001:db8:0:1::{number}", WRONG) for number in range(FAILURES + 1)]
        assert result == [401] * FAILURES + [429]
        assert login("2001:db8:0:2::1", RIGHT) == 200

    def test_is_the_same_in_both_ways_to_write_ipv4(self, login: Login) -> None:
        result = [login(client, WRONG) for client in (STRANGER, f"::ffff:{STRANGER}") * 2]
        assert result == [401] * FAILURES + [429]

    def test_may_be_a_text_of_any_length(self, login: Login) -> None:
        assert [login("x" * 5000 + str(number), WRONG) for number in range(FAILURES + 1)] == [
            401
        ] * FAILURES + [429]

    @pytest.mark.parametrize("wrong", ["*", "proxy", "10.0.0.1/8", "10.9.0.2,x"])
    def test_of_a_proxy_is_an_address_or_a_network(self, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
        monkeypatch.setenv("API_TRUSTED_PROXIES", wrong)
        with pytest.raises(
            SettingsError, match=r"API_TRUSTED_PROXIES: .* is neither an address nor a network"
        ):
            read_settings()

    def test_is_not_believed_of_clients_on_the_same_machine(
        self, settings: Settings, ann: Person, tmp_path: Path
    ) -> None:
        """Tested with the process itself, since uvicorn trusts 127.0.0.1 by default."""
        service = service_of(settings, tmp_path, port := free_port())
        body = {"email": ANN, "password": WRONG}
        with running(service), httpx2.Client(base_url=f"http://{HOST}:{port}", timeout=60) as client:
            for number in range(10):
                headers = {"X-Forwarded-For": f"192.0.2.{number}"}
                assert client.post("/auth/token", json=body, headers=headers).status_code == 401
            headers = {"X-Forwarded-For": OWNER}
            assert client.post("/auth/token", json=body, headers=headers).status_code == 429
        log = (tmp_path / "api.log").read_text()
        assert log.count("X-Forwarded-For is ignored") == 1


@dataclass
class Model:
    """A model of the limits: lists of failures, counted each time."""

    failures: list[tuple[str, str]] = field(default_factory=list)

    def status(self, client: str, email: str, *, is_right: bool) -> int:
        at_account = sum(1 for _, one in self.failures if one == email)
        allowed = OF_ATTACKED if at_account >= ATTACKED else FAILURES
        if self.failures.count((client, email)) >= allowed:
            return 429
        if sum(1 for one, _ in self.failures if one == client) >= OF_CLIENT:
            return 429
        if not is_right:
            self.failures.append((client, email))
            return 401
        self.failures = [one for one in self.failures if one != (client, email)]
        return 200


@examples(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    tries=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([ANN, ANN, BOB]), st.sampled_from([False] * 4 + [True])),
        min_size=10,
        max_size=35,
    )
)
def test_every_login_is_answered_as_the_limits_say(
    login: Login, settings: Settings, tries: list[tuple[int, str, bool]]
) -> None:
    execute(settings, "DELETE FROM bulk.login_failures")
    model = Model()
    for number, email, is_right in tries:
        client = f"192.0.2.{number}"
        expected = model.status(client, email, is_right=is_right)
        assert login(client, RIGHT if is_right else WRONG, email) == expected


class TestTheQueueOfHashes:
    def test_is_bounded_and_refuses_others_at_once(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places, more = HASHED_AT_A_TIME + WAITING, 5
        with crowd(settings, monkeypatch) as (post, hashes):
            logins = [post(f"192.0.2.{number}") for number in range(places + more)]
            refused = first_to_end(logins, more)
            refused.append(post(OWNER, "/auth/register"))
            answers = [one.result() for one in refused]
            assert sum(one.done() for one in logins) == more
            hashes.set()
            assert {one.result().status_code for one in logins if one not in refused} == {401}
        for answer in answers:
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
            assert answer.json() == {"detail": "too many logins at the moment: try again later"}

    def test_has_places_for_others_while_one_client_takes_all_that_it_may(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with crowd(settings, monkeypatch) as (post, hashes):
            logins = [post(STRANGER) for _ in range(3 * OF_ONE_CLIENT)]
            refused = first_to_end(logins, 2 * OF_ONE_CLIENT)
            assert {one.result().status_code for one in refused} == {429}
            others = [post(f"192.0.2.{number}") for number in range(WAITING - OF_ONE_CLIENT)]
            hashes.set()
            assert {one.result().status_code for one in others} == {401}


def first_to_end(futures: Sequence["Future[Any]"], count: int) -> list["Future[Any]"]:
    """Return the given number of requests that ended first."""
    return list(islice(as_completed(futures, timeout=60), count))


@contextmanager
def crowd(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Callable[..., "Future[Any]"], threading.Event]]:
    """Send posts in threads to a real server whose hashes run until the event is set."""
    hashes = threading.Event()

    class Endless:
        def hash(self, _: str) -> str:
            hashes.wait(60)
            return "a hash"

        def verify(self, _: str, __: str) -> bool:
            hashes.wait(60)
            return False

    monkeypatch.setattr(accounts, "HASH", Endless())
    with (
        serving(create_app(behind_proxy(settings, "127.0.0.1"))) as url,
        httpx2.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(40) as threads,
    ):

        def send(address: str, path: str) -> Any:
            body = {"email": f"{address}@example.com", "password": WRONG}
            return client.post(path, json=body, headers={"X-Forwarded-For": address})

        def post(address: str, path: str = "/auth/token") -> "Future[Any]":
            return threads.submit(send, address, path)

        try:
            yield post, hashes
        finally:
            hashes.set()
