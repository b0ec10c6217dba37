"""Sign in, sign out, and the ends of a session."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger import login_limits
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pages import Browser
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ANN = "ann@example.com"
WRONG = "The email address or the password is wrong."


@pytest.mark.parametrize(
    ("email", "password"),
    [(ANN, "wrong horse"), ("nobody@example.com", "correct horse"), (ANN, ""), ("", ""), (ANN, "x" * 5000), ("\0", "\0")],
)  # fmt: skip
def test_a_wrong_password_and_an_unknown_address_get_the_same_sentence(
    browser: Browser, ann: Person, email: str, password: str
) -> None:
    page = browser.sign_in(email, password)
    assert (page.status, page.heading) == (401, "Sign in")
    assert [" ".join(box.itertext()).split() for box in page.all("div", class_="problem")] == [
        f"There is a problem {WRONG}".split()
    ]
    assert browser.open("/office").heading == "Sign in"


def test_the_address_stays_in_the_form_and_the_password_does_not(browser: Browser, ann: Person) -> None:
    page = browser.sign_in(ANN, "wrong horse")
    values = {field.attrib["name"]: field.attrib.get("value") for field in page.all("input")}
    assert (values["email"], values["password"]) == (ANN, None)


def test_after_too_many_failures_the_page_says_how_long_to_wait(browser: Browser, ann: Person) -> None:
    for _ in range(login_limits.FAILURES):
        browser.sign_in(ANN, "wrong horse")
    page = browser.sign_in(ANN, "correct horse")
    assert page.status == 429
    assert "Too many attempts have failed: wait 5 minutes, then try again." in page.text
    assert int(page.headers["retry-after"]) in range(200, 301)


def test_a_disabled_account_does_not_sign_in(browser: Browser, ann: Person, pipeline: Pipeline) -> None:
    pipeline.stores.accounts.disable(ANN)
    assert WRONG in browser.sign_in(ANN).text


def test_signing_in_leads_to_the_page_that_was_asked_for(browser: Browser, ann: Person) -> None:
    asked = browser.open("/office")
    assert (asked.path, asked.status, asked.heading) == ("/office/sign-in", 200, "Sign in")
    page = browser.fill(asked, "Sign in", email="Ann@Example.com", password="correct horse")
    assert (page.path, page.status, page.heading) == ("/office", 200, "Send a file")
    assert ANN in page.html


@pytest.mark.parametrize(
    "then", ["https://evil.example", "//evil.example/office/", "/office/\\evil", "/auth/x", "/office/\r\nX: y", "/office/é"]
)  # fmt: skip
def test_signing_in_leads_to_no_page_of_another_site(browser: Browser, ann: Person, then: str) -> None:
    page = browser.fill(browser.open("/office"), "Sign in", email=ANN, password="correct horse", next=then)
    assert page.path == "/office"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser: Browser, ann: Person) -> None:
    page = browser.open("/office/sign-in")
    before = dict(browser.cookies)
    form = {"email": ANN, "password": "correct horse", "next": ""}
    token = page.all("input", name="form_token")[0].attrib["value"]
    answer = browser.client.post(
        "/office/sign-in",
        data=form | {"form_token": token},
        headers={"Cookie": f"bulk_session={before['bulk_session']}"},
        follow_redirects=False,
    )
    cookie = answer.headers["set-cookie"]
    name, _, attributes = cookie.partition("=")
    assert (answer.status_code, answer.headers["location"], name) == (303, "/office", "bulk_session")
    assert [part.strip() for part in attributes.split(";")[1:]] == [
        "HttpOnly", "Max-Age=43200", "Path=/", "SameSite=lax",
    ]  # fmt: skip
    assert before["bulk_session"] not in cookie, "a token from before the sign-in stays in use"


def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(settings: Settings, ann: Person) -> None:
    given = settings.model_copy(update={"api_url": "https://office.example", "api_hosts": "testserver"})
    with TestClient(create_app(Stores(given))) as client:
        browser = Browser(client)
        browser.sign_in(ANN)
        cookie = client.get("/office/sign-in").headers["set-cookie"]
        assert list(browser.cookies) == ["__Host-bulk_session"]
    assert cookie.startswith("__Host-bulk_session=")
    assert cookie.endswith("; HttpOnly; Max-Age=43200; Path=/; SameSite=lax; Secure")


def test_the_database_has_no_token(office: Browser, pipeline: Pipeline) -> None:
    rows = pipeline.query("SELECT token_hash, session::text FROM bulk.office_sessions AS session")
    assert len(rows) == 1
    assert len(rows[0][0]) == 32
    assert office.cookies["bulk_session"] not in rows[0][1]


class TestTheEndOfASession:
    def test_signing_out_ends_it_in_the_database_too(self, office: Browser) -> None:
        kept = dict(office.cookies)
        page = office.fill(office.open("/office"), "Sign out")
        assert page.heading == "Sign in"
        office.cookies = kept
        assert office.open("/office").heading == "Sign in"

    def test_a_second_click_on_sign_out_is_no_error(self, office: Browser) -> None:
        page, kept = office.open("/office"), dict(office.cookies)
        office.fill(page, "Sign out")
        office.cookies = kept
        assert office.fill(page, "Sign out").heading == "Sign in"

    @pytest.mark.parametrize(
        "end",
        [
            lambda stores: stores.accounts.disable(ANN),
            lambda stores: stores.accounts.reset(ANN, "another horse"),
        ],
        ids=["disabled", "another password"],
    )
    def test_it_ends_with_its_account(
        self, office: Browser, pipeline: Pipeline, end: Callable[[Stores], Any]
    ) -> None:
        end(pipeline.stores)
        assert office.open("/office").heading == "Sign in"
        pipeline.stores.accounts.enable(ANN)
        assert office.open("/office").heading == "Sign in"

    def test_it_expires(self, office: Browser, pipeline: Pipeline) -> None:
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("UPDATE bulk.office_sessions SET expires_at = now() - interval '1 second'")
        assert office.open("/office").heading == "Sign in"

    def test_an_expired_one_is_removed_when_somebody_signs_in(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("UPDATE bulk.office_sessions SET expires_at = now() - interval '1 second'")
        Browser(office.client).sign_in(ANN)
        assert pipeline.query("SELECT count(*) FROM bulk.office_sessions") == [(1,)]


class TestFormTokens:
    @pytest.mark.parametrize("token", [None, "", "0" * 64, "é"])
    def test_a_form_without_the_right_token_does_nothing(self, office: Browser, token: str | None) -> None:
        data = {} if token is None else {"form_token": token}
        page = office.send("POST", "/office/sign-out", data=data)
        assert page.status_code == 403
        assert "This form is out of date, and nothing was done" in page.text
        assert office.open("/office").heading == "Send a file"

    def test_the_token_of_another_session_does_nothing(self, office: Browser, bob: Person) -> None:
        other = Browser(office.client)
        page = other.sign_in("bob@example.com")
        token = next(field for field in page.tree.iter("input") if field.attrib["name"] == "form_token")
        answer = office.send("POST", "/office/sign-out", data={"form_token": token.attrib["value"]})
        assert answer.status_code == 403
        assert office.open("/office").heading == "Send a file"

    def test_the_token_of_another_form_does_nothing(self, browser: Browser, ann: Person) -> None:
        token = browser.open("/office/sign-in").all("input", name="form_token")[0].attrib["value"]
        assert browser.send("POST", "/office/sign-out", data={"form_token": token}).status_code == 403

    def test_a_sign_in_page_from_before_says_so(self, browser: Browser, ann: Person) -> None:
        page = browser.open("/office/sign-in")
        browser.cookies = {}
        again = browser.fill(page, "Sign in", email=ANN, password="correct horse")
        assert (again.status, again.heading) == (400, "Sign in")
        assert "The page was open for too long: sign in again." in again.text
        assert browser.fill(again, "Sign in", email=ANN, password="correct horse").heading == "Send a file"

    def test_the_sign_in_page_of_a_second_tab_leads_to_the_session_of_the_first(
        self, browser: Browser, ann: Person
    ) -> None:
        second = browser.open("/office/sign-in")
        browser.sign_in(ANN)
        assert browser.fill(second, "Sign in", email=ANN, password="wrong horse").heading == "Send a file"


def test_a_page_of_another_site_cannot_send_a_form(office: Browser) -> None:
    page = office.open("/office")
    form = page.form("Sign out")
    token = next(form.iter("input")).attrib["value"]
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = office.send("POST", "/office/sign-out", data={"form_token": token}, headers=foreign)
    assert answer.status_code == 403
    assert office.open("/office").heading == "Send a file"


def test_only_tables_that_the_person_may_fill_are_shown(
    browser: Browser, new_person: Callable[[str], Person], pipeline: Pipeline
) -> None:
    new_person("eve@example.com")
    pipeline.stores.accounts.set_rights("eve@example.com", Rights(("users",), ()))
    page = browser.sign_in("eve@example.com")
    assert [path for path in page.links.values() if "/tables/" in path] == ["/office/tables/users"]
    assert "customers" not in page.html
    pipeline.stores.accounts.set_rights("eve@example.com", Rights())
    assert "Your account is not allowed to send files yet" in browser.open("/office").text


class TestOtherPages:
    def test_the_address_of_the_server_leads_browsers_to_the_pages(self, browser: Browser) -> None:
        assert browser.open("/").heading == "Sign in"
        answer = browser.client.get("/")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})

    @pytest.mark.parametrize(
        "path", ["/office/nothing", "/office/static/../pages.py", "/office/static/x.css"]
    )
    def test_an_unknown_page_is_a_page(self, office: Browser, path: str) -> None:
        page = office.open(path)
        assert (page.status, page.heading) == (404, "There is no such page")

    def test_every_page_has_a_policy_under_which_nothing_foreign_runs(self, office: Browser) -> None:
        for path in ("/office", "/office/sign-in", "/office/nothing"):
            page = office.open(path)
            policy = dict(
                part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
            )
            assert policy == {
                "default-src": "'none'",
                "style-src": "'self'",
                "script-src": "'self'",
                "img-src": "'self'",
                "connect-src": "'self'",
                "form-action": "'self'",
                "base-uri": "'none'",
                "frame-ancestors": "'none'",
            }
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "same-origin"

    def test_files_of_the_pages_are_ours_and_may_be_kept(self, browser: Browser) -> None:
        page = browser.open("/office/sign-in")
        named = [
            e.attrib.get("href") or e.attrib["src"] for e in page.tree.iter() if e.tag in ("link", "script")
        ]
        assert len(named) == 3
        for address in named:
            answer = browser.client.get(address)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert address.startswith("/office/static/")

    def test_an_outage_is_a_page(
        self, office: Browser, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def fail(_: str) -> None:
            raise StoreUnavailableError("Postgres at nowhere: refused")

        monkeypatch.setattr(office.client.app.state.stores.sessions, "account", fail)  # pyright: ignore  # noqa: PGH003
        page = office.open("/office")
        assert (page.status, page.heading) == (503, "The service is not available at the moment")
        assert page.headers["retry-after"] == "5"
        assert "Postgres" not in page.html

    def test_a_fault_of_ours_is_a_page(self, office: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: str) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(office.client.app.state.stores.sessions, "account", fail)  # pyright: ignore  # noqa: PGH003
        page = office.open("/office")
        assert (page.status, page.heading) == (500, "Something went wrong")
        assert "secret" not in page.html
        assert "default-src 'none'" in page.headers["content-security-policy"]
