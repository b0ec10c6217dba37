"""Accounts and tokens: their creation, their refusal, and limits of guesses."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import jwt
import psycopg
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.hashing import HASHED_AT_A_TIME
from bulk_pipeline.api.middleware import MOST_BODY_BYTES
from bulk_pipeline.ledger import accounts, login_limits
from bulk_pipeline.ledger.accounts import HASH as RECOMMENDED
from bulk_pipeline.ledger.login_limits import WINDOW_SECONDS
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import SECRET, Person

ANN = {"email": "Ann@Example.com", "password": "correct horse"}
FAILURES = 3
AS_JSON = {"Content-Type": "application/json"}
NESTED = base64.urlsafe_b64encode(b"[" * 15_000).decode()
NOBODYS_JOB = "/imports/01a00000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def few_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A low limit of failures."""
    monkeypatch.setattr(login_limits, "FAILURES", FAILURES)


def test_an_address_is_registered_in_lower_case(api: TestClient) -> None:
    answer = api.post("/auth/register", json=ANN)
    assert (answer.status_code, set(answer.json())) == (200, {"id", "email"})
    assert answer.json()["email"] == "ann@example.com"


def test_an_address_is_registered_once_in_whatever_case(api: TestClient) -> None:
    api.post("/auth/register", json=ANN)
    answer = api.post("/auth/register", json=ANN | {"email": "ANN@example.com"})
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "there is an account for ann@example.com already"},
    )


def test_one_of_two_concurrent_registrations_gets_the_account(api_url: str) -> None:
    with httpx2.Client(base_url=api_url, timeout=60) as client, ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: client.post("/auth/register", json=ANN).status_code, range(4))
        assert sorted(answers) == [200] + [409] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "two words@example.com"},
        {"email": "a@example.com\u0000"},
        {"email": "x" * 320 + "@example.com"},
        {"password": "seven77"},
        {"password": "x" * 1025},
        {"password": None},
    ],
    ids=str,
)
def test_a_bad_address_or_password_is_refused_without_being_repeated(
    api: TestClient, wrong: dict[str, str | None]
) -> None:
    answer = api.post("/auth/register", json=ANN | wrong)
    assert answer.status_code == 422
    assert "Value error" not in answer.text
    assert ANN["password"] not in answer.text
    assert str(wrong.get("password", "")) in ("", "None") or str(wrong["password"]) not in answer.text


def test_a_token_says_whose_it_is_and_until_when(api: TestClient) -> None:
    account = api.post("/auth/register", json=ANN).json()
    before = int(time.time())
    answer = api.post("/auth/token", json=ANN)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")
    claims = jwt.decode(answer.json()["access_token"], SECRET, algorithms=["HS256"])
    assert set(claims) == {"sub", "iat", "exp"}
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (account["id"], 3600)
    assert before <= claims["iat"] <= time.time()


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong horse"}, {"email": "eve@example.com"}, {"email": "a\u0000b"}], ids=str
)
def test_a_wrong_password_and_an_unknown_address_are_the_same_answer(
    api: TestClient, wrong: dict[str, str]
) -> None:
    api.post("/auth/register", json=ANN)
    answer = api.post("/auth/token", json=ANN | wrong)
    assert (answer.status_code, answer.json()) == (401, {"detail": "wrong email address or password"})


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com"])
def test_after_too_many_failures_logins_are_refused_for_a_while(
    api: TestClient, settings: Settings, email: str
) -> None:
    api.post("/auth/register", json=ANN)
    guess = {"email": email, "password": "wrong"}
    assert {api.post("/auth/token", json=guess).status_code for _ in range(FAILURES)} == {401}
    answer = api.post("/auth/token", json=ANN | {"email": email})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= WINDOW_SECONDS
    execute(settings, f"UPDATE bulk.login_failures SET failed_at = failed_at - interval '{WINDOW_SECONDS} s'")
    assert api.post("/auth/token", json=ANN).status_code == 200


def test_guesses_at_once_are_all_counted(api_url: str) -> None:
    guesses = 2 * FAILURES
    result = at_once(api_url, guesses, {"email": "ann@example.com", "password": "wrong"})
    assert sorted(result) == [401] * FAILURES + [429] * (guesses - FAILURES)


def test_the_owner_may_log_in_many_times_at_once(api: TestClient, api_url: str) -> None:
    api.post("/auth/register", json=ANN)
    assert set(at_once(api_url, 2 * FAILURES, ANN)) == {200}


def test_a_crowd_that_logs_in_takes_neither_all_memory_nor_all_threads(
    api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = EndlessHashes()
    monkeypatch.setattr(accounts, "HASH", hashes)
    with ThreadPoolExecutor(1) as threads:
        crowd = threads.submit(at_once, api_url, 45, {"email": "ann@example.com", "password": "wrong"})
        try:
            assert hashes.begun.wait(60)
            assert httpx2.get(api_url + NOBODYS_JOB, timeout=60).status_code == 401
        finally:
            hashes.end.set()
        assert set(crowd.result()) == {401, 429}
    assert hashes.most <= HASHED_AT_A_TIME


def test_an_address_that_cannot_be_one_is_unknown_or_refused(api: TestClient) -> None:
    longest = "".join(chr(0x20000 + number) for number in range(320))
    answers = [api.post("/auth/token", json=ANN | {"email": email}) for email in (longest, longest + "x", "")]
    assert [answer.status_code for answer in answers] == [401, 422, 401]


def test_old_failures_go(api: TestClient, settings: Settings) -> None:
    guess = {"email": "ann@example.com", "password": "wrong"}
    api.post("/auth/token", json=guess)
    execute(settings, f"UPDATE bulk.login_failures SET failed_at = failed_at - interval '{WINDOW_SECONDS} s'")
    api.post("/auth/token", json=guess | {"email": "bob@example.com"})
    assert query(settings, "SELECT email FROM bulk.login_failures") == [("bob@example.com",)]


def test_a_login_forgets_the_failures_before_it(api: TestClient) -> None:
    api.post("/auth/register", json=ANN)
    for _ in range(2):
        for _ in range(FAILURES - 1):
            api.post("/auth/token", json=ANN | {"password": "wrong"})
        assert api.post("/auth/token", json=ANN).status_code == 200


def test_the_password_is_not_in_the_database(api: TestClient, settings: Settings) -> None:
    api.post("/auth/register", json=ANN)
    ((kept,),) = query(settings, "SELECT password_hash FROM bulk.accounts")
    assert kept.startswith("$argon2id$")


def test_hashes_cost_what_is_recommended() -> None:
    assert RECOMMENDED.hash("correct horse").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


class TestTokensThatAreNotGood:
    def test_none(self, api: TestClient) -> None:
        refused(api, None)

    def test_one_that_has_expired(self, api: TestClient, ann: Person) -> None:
        refused(api, token(ann.id, iat=-7200, exp=-3600))

    def test_one_that_never_expires(self, api: TestClient, ann: Person) -> None:
        refused(api, jwt.encode({"sub": ann.id, "iat": int(time.time())}, SECRET, "HS256"))

    def test_one_of_another_secret(self, api: TestClient, ann: Person) -> None:
        refused(api, token(ann.id, secret="another secret of thirty-two bytes or more"))

    def test_one_that_is_not_signed(self, api: TestClient, ann: Person) -> None:
        refused(api, jwt.encode({"sub": ann.id, "iat": 0, "exp": 1 << 40}, "", "none"))

    @pytest.mark.parametrize("subject", ["nobody", "01a00000-0000-7000-8000-000000000000"])
    def test_one_of_no_account(self, api: TestClient, subject: str) -> None:
        refused(api, token(subject))

    def test_one_of_an_account_that_is_gone(self, api: TestClient, ann: Person, settings: Settings) -> None:
        execute(settings, "DELETE FROM bulk.accounts")
        refused(api, ann.token)

    def test_one_that_is_none(self, api: TestClient) -> None:
        for text in ("", "x", "a.b.c", "\u00e4", f"{NESTED}.{NESTED}.x"):
            refused(api, text)


def test_a_large_body_is_not_taken_in(api: TestClient) -> None:
    for path in ("/auth/register", "/auth/token"):
        answer = api.post(path, content=b" " * (MOST_BODY_BYTES + 1), headers=AS_JSON)
        assert (answer.status_code, "larger than 64,000 bytes" in answer.json()["detail"]) == (413, True)


def test_a_body_that_is_no_object_of_texts_is_refused(api: TestClient) -> None:
    surrogate = rb'{"email": "\ud800@example.com", "password": "correct horse"}'
    bodies = {b"": 422, b"null": 422, b"{": 422, surrogate: 422, b"\xff": 400, b"[" * 60_000: 400}
    answers = {body: api.post("/auth/token", content=body, headers=AS_JSON) for body in bodies}
    assert {body: answer.status_code for body, answer in answers.items()} == bodies


def refused(api: TestClient, text: str | None) -> None:
    headers = {} if text is None else {b"Authorization": f"Bearer {text}".encode()}
    answer = api.get(NOBODYS_JOB, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def token(subject: str, *, secret: str = SECRET, iat: int = 0, exp: int = 3600) -> str:
    now = int(time.time())
    return jwt.encode({"sub": subject, "iat": now + iat, "exp": now + exp}, secret, "HS256")


class EndlessHashes:
    """Hashes that run until the test ends them; `begun` is set when as many run as may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def hash(self, _: str) -> str:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        if self.most >= HASHED_AT_A_TIME:
            self.begun.set()
        self.end.wait(60)
        with self._lock:
            self._now -= 1
        return "a hash"


def at_once(api_url: str, times: int, login: dict[str, str]) -> list[int]:
    with httpx2.Client(base_url=api_url, timeout=60) as client, ThreadPoolExecutor(times) as threads:
        answers = threads.map(lambda _: client.post("/auth/token", json=login).status_code, range(times))
        return list(answers)


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        return connection.execute(text.encode()).fetchall()


def execute(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute(statement.encode())
