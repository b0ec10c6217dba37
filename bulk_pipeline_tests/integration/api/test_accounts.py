"""Accounts and tokens: who gets one, who does not, and how often one may guess."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import jwt
import psycopg
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.accounts import FAILURES, WINDOW_SECONDS
from bulk_pipeline_tests.integration.api.conftest import SECRET, Person

ANN = {"email": "Ann@Example.com", "password": "correct horse"}


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


def test_of_two_who_register_at_once_one_gets_the_account(api_url: str) -> None:
    def register(_: int) -> int:
        return httpx2.post(f"{api_url}/auth/register", json=ANN, timeout=60).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(register, range(8))) == [200] + [409] * 7


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
def test_after_too_many_failures_nobody_may_guess_for_a_while(
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
    def guess(_: int) -> int:
        given = {"email": "ann@example.com", "password": "wrong"}
        return httpx2.post(f"{api_url}/auth/token", json=given, timeout=60).status_code

    with ThreadPoolExecutor(20) as threads:
        assert sorted(threads.map(guess, range(20))) == [401] * FAILURES + [429] * (20 - FAILURES)


def test_a_login_forgets_the_failures_before_it(api: TestClient) -> None:
    api.post("/auth/register", json=ANN)
    for _ in range(2):
        for _ in range(FAILURES - 1):
            api.post("/auth/token", json=ANN | {"password": "wrong"})
        assert api.post("/auth/token", json=ANN).status_code == 200


def test_the_password_is_not_in_the_database(api: TestClient, settings: Settings) -> None:
    api.post("/auth/register", json=ANN)
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        ((kept,),) = connection.execute("SELECT password_hash FROM bulk.accounts").fetchall()
    assert kept.startswith("$argon2id$")


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
        refused(api, jwt.encode({"sub": ann.id, "iat": 0, "exp": 1 << 40}, None, "none"))

    @pytest.mark.parametrize("subject", ["nobody", "01a00000-0000-7000-8000-000000000000"])
    def test_one_of_nobody(self, api: TestClient, subject: str) -> None:
        refused(api, token(subject))

    def test_one_of_an_account_that_is_gone(self, api: TestClient, ann: Person, settings: Settings) -> None:
        execute(settings, "DELETE FROM bulk.accounts")
        refused(api, ann.token)

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "\u00e4"])
    def test_one_that_is_none(self, api: TestClient, text: str) -> None:
        refused(api, text)


def refused(api: TestClient, text: str | None) -> None:
    headers = {} if text is None else {b"Authorization": f"Bearer {text}".encode()}
    answer = api.get("/imports/01a00000-0000-7000-8000-000000000000", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def token(subject: str, *, secret: str = SECRET, iat: int = 0, exp: int = 3600) -> str:
    now = int(time.time())
    return jwt.encode({"sub": subject, "iat": now + iat, "exp": now + exp}, secret, "HS256")


def execute(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute(statement.encode())
