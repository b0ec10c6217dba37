"""The rights of accounts over HTTP: tables for imports and exports, and visible jobs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bulk_pipeline import tables
from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.tokens import new_token
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.postgres.migrations import migrate, sql_folder
from bulk_pipeline.rights import EVERY_TABLE, JobsRight, Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ANN, BOB = "ann@example.com", "bob@example.com"
LOGIN = {"email": ANN, "password": "correct horse"}
IMPORTS, EXPORTS = "/api/v1/imports", "/api/v1/exports"
CONTENT = {
    "customers": b"email\na@example.com\n",
    "users": b"email,name,role\na@example.com,Ann,admin\n",
    "articles": b"slug\na\n",
    "comments": b"body\na\n",
}


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    result = Stores(settings.model_copy(update={"api_token_required": True}))
    yield result
    result.close()


@pytest.fixture
def strict(stores: Stores) -> Iterator[TestClient]:
    """The API with tokens required by /api/v1 too."""
    with TestClient(create_app(stores)) as client:
        yield client


def ask_import(api: TestClient, person: Person, table: str) -> Any:
    return api.post(
        IMPORTS,
        data={"resource_type": table},
        files={"file": ("a.csv", CONTENT[table])},
        headers=person.headers,
    )


def ask_export(api: TestClient, person: Person, table: str) -> Any:
    return api.post(EXPORTS, json={"resource_type": table, "format": "csv"}, headers=person.headers)


def ask_customers(api: TestClient, person: Person) -> Any:
    return api.post(
        "/imports",
        files={"file": ("a.csv", CONTENT["customers"])},
        headers=person.headers | {"Idempotency-Key": "march"},
    )


def registered(api: TestClient) -> Person:
    """Return a client that has created its account over HTTP."""
    account = api.post("/auth/register", json=LOGIN).json()
    return Person(account["id"], api.post("/auth/token", json=LOGIN).json()["access_token"])


def lacks(right: str, *, word: str = "error") -> tuple[int, dict[str, str]]:
    """Return the answer to a client without the right."""
    expected = (
        f"the account {ANN} lacks the right to {right}: the operator of this service can grant it with "
        "`bulk-pipeline account set`"
    )
    return 403, {word: expected}


def told(answer: Any) -> tuple[int, dict[str, str]]:
    return answer.status_code, answer.json()


class TestAnAccountThatHasRegisteredItself:
    def test_may_do_what_the_clients_of_the_services_before_did_and_no_more(self, strict: TestClient) -> None:
        ann = registered(strict)
        assert ask_customers(strict, ann).status_code == 201
        assert [ask_import(strict, ann, table).status_code for table in CONTENT] == [202] * 4
        for table in ("users", "articles", "comments"):
            assert ask_export(strict, ann, table).status_code == 202
        assert told(ask_export(strict, ann, "customers")) == lacks("export customers")

    def test_reads_the_rows_of_customers_by_no_door(self, strict: TestClient, exporting: Exporting) -> None:
        exporting.have("secret@x.co")
        ann = registered(strict)
        for path in (f"{EXPORTS}?resource=customers&format=csv", f"{EXPORTS}/customers/stream?format=csv"):
            assert told(strict.get(path, headers=ann.headers)) == lacks("export customers")

    def test_neither_sees_nor_cancels_what_is_not_its_own(
        self, strict: TestClient, pipeline: Pipeline, bob: Person
    ) -> None:
        pipeline.drop("users/a.csv", CONTENT["users"])
        pipeline.claim_as_of_a_while_ago()
        bobs_import = ask_import(strict, bob, "users").json()["id"]
        bobs_export = ask_export(strict, bob, "users").json()["id"]
        nightly = pipeline.stores.exports.ask(ExportRequest.of(table="users")).id
        ann = registered(strict)
        assert strict.get(IMPORTS, headers=ann.headers).json()["imports"] == []
        assert strict.get(EXPORTS, headers=ann.headers).json()["exports"] == []
        for job_id in (pipeline.job("users/a.csv").id, bobs_import):
            for call in look_and_cancel(strict, ann, f"{IMPORTS}/{job_id}", "errors"):
                assert told(call) == (404, {"error": f"no job {job_id}"})
        for job_id in (bobs_export, nightly):
            for call in look_and_cancel(strict, ann, f"{EXPORTS}/{job_id}", "download"):
                assert told(call) == (404, {"error": f"no export {job_id}"})
        assert {job.status for job in pipeline.stores.exports.newest()} == {"pending"}
        imports = pipeline.query("SELECT status, cancel_requested_at FROM bulk.import_jobs")
        assert imports == [("pending", None)] * 2

    def test_has_the_rights_that_the_settings_say(self, settings: Settings) -> None:
        given = {"api_registered_import": "none", "api_registered_export": "*", "api_registered_jobs": "all"}
        stores = Stores(
            Settings.model_validate({**settings.model_dump(), "api_token_required": True, **given})
        )
        with TestClient(create_app(stores)) as api:
            ann = registered(api)
            assert told(ask_customers(api, ann)) == lacks("import customers", word="detail")
            assert told(ask_import(api, ann, "users")) == lacks("import users")
            assert ask_export(api, ann, "customers").status_code == 202
            ownerless = stores.exports.ask(ExportRequest.of(table="users")).id
            assert api.get(f"{EXPORTS}/{ownerless}", headers=ann.headers).status_code == 200


def test_a_table_of_the_settings_that_does_not_exist_is_named(settings: Settings) -> None:
    wrong = Settings.model_validate({**settings.model_dump(), "api_registered_import": "users,user"})
    with pytest.raises(SettingsError) as caught:
        create_app(Stores(wrong))
    assert str(caught.value) == (
        "API_REGISTERED_IMPORT: 'user' is not a table: expected users, customers, articles, comments or *"
    )


def test_registration_is_refused_if_it_is_closed(settings: Settings, new_person: Any) -> None:
    new_person(BOB)
    closed = settings.model_copy(update={"api_registration": "closed"})
    with TestClient(create_app(Stores(closed))) as api:
        for given in (LOGIN, LOGIN | {"email": BOB}, {"email": "nobody"}):
            answer = api.post("/auth/register", json=given)
            assert told(answer) == (
                403,
                {
                    "detail": "registration is closed: ask the operator of this service to create an account with "
                    "`bulk-pipeline account add`"
                },
            )
        assert api.post("/auth/token", json=LOGIN | {"email": BOB}).status_code == 200


def test_a_right_that_is_taken_away_is_missing_at_once(
    strict: TestClient, stores: Stores, ann: Person, exporting: Exporting
) -> None:
    exporting.have("a@x.co")
    job = ask_export(strict, ann, "customers").json()["id"]
    exporting.run(stores.exports.get(job))
    download = f"{EXPORTS}/{job}/download"
    assert strict.get(download, headers=ann.headers, follow_redirects=False).status_code == 307
    stores.accounts.set_rights(ANN, Rights(jobs=JobsRight.ALL))
    assert told(strict.get(download, headers=ann.headers)) == lacks("export customers")
    assert strict.get(f"{EXPORTS}/{job}", headers=ann.headers).status_code == 200
    assert told(ask_import(strict, ann, "customers")) == lacks("import customers")


def test_a_file_that_may_not_be_imported_is_not_taken_in(
    strict: TestClient, stores: Stores, ann: Person
) -> None:
    stores.accounts.set_rights(ANN, Rights(("users",)))

    def endless() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = ann.headers | {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "1000000"}
    answer = strict.post("/imports", content=endless(), headers=headers)
    assert told(answer) == lacks("import customers", word="detail")
    answer = strict.post(
        IMPORTS,
        json={"resource": "customers", "file_url": "http://127.0.0.1:1/never.csv"},
        headers=ann.headers,
    )
    assert told(answer) == lacks("import customers")


def test_an_account_that_sees_all_jobs_sees_those_of_the_customers_clients_too(
    strict: TestClient, stores: Stores, ann: Person, bob: Person
) -> None:
    job = ask_customers(strict, bob).json()["id"]
    assert strict.get(f"/imports/{job}", headers=ann.headers).status_code == 404
    stores.accounts.set_rights(ANN, Rights(jobs=JobsRight.ALL))
    assert strict.get(f"/imports/{job}", headers=ann.headers).json()["id"] == job


def test_an_account_that_sees_all_jobs_cancels_jobs_of_the_bucket(
    strict: TestClient, stores: Stores, ann: Person, pipeline: Pipeline
) -> None:
    stores.accounts.set_rights(ANN, Rights(jobs=JobsRight.ALL))
    pipeline.drop("users/a.csv", CONTENT["users"])
    pipeline.claim_as_of_a_while_ago()
    (listed,) = strict.get(IMPORTS, headers=ann.headers).json()["imports"]
    answer = strict.post(f"{IMPORTS}/{listed['id']}/cancel", headers=ann.headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")


class TestTheTokensOfAnAccount:
    def test_end_when_it_is_disabled_and_stay_so(
        self, strict: TestClient, stores: Stores, ann: Person
    ) -> None:
        assert strict.get(IMPORTS, headers=ann.headers).status_code == 200
        stores.accounts.disable(ANN)
        answer = strict.get(IMPORTS, headers=ann.headers)
        assert told(answer) == (
            401,
            {"error": "the token's account is disabled: ask the operator of this service"},
        )
        assert told(strict.post("/auth/token", json=LOGIN)) == (
            401,
            {"detail": "wrong email address or password"},
        )
        stores.accounts.enable(ANN)
        answer = strict.get(IMPORTS, headers=ann.headers)
        assert told(answer) == (
            401,
            {"error": "the token has been revoked: get a new one from POST /auth/token"},
        )
        token = strict.post("/auth/token", json=LOGIN).json()["access_token"]
        assert strict.get(IMPORTS, headers=Person(ann.id, token).headers).status_code == 200

    def test_end_when_its_password_is_reset(self, strict: TestClient, stores: Stores, ann: Person) -> None:
        stores.accounts.reset(ANN, "another horse")
        assert strict.get(IMPORTS, headers=ann.headers).status_code == 401
        assert strict.post("/auth/token", json=LOGIN).status_code == 401
        again = strict.post("/auth/token", json=LOGIN | {"password": "another horse"})
        token = again.json()["access_token"]
        assert strict.get(IMPORTS, headers=Person(ann.id, token).headers).status_code == 200


class TestAccountsFromBeforeThereWereRights:
    def test_keep_every_table_and_see_their_own_jobs(self, empty_database_url: str, tmp_path: Any) -> None:
        before = tmp_path / "sql"
        before.mkdir()
        for file in sorted(sql_folder().glob("00*.sql")):
            if file.name < "0017":
                (before / file.name).write_bytes(file.read_bytes())
        migrate(empty_database_url, before)
        ann, export = (f"01a00000-0000-7000-8000-00000000000{number}" for number in (1, 2))
        with psycopg.connect(empty_database_url) as connection:
            connection.execute(
                "INSERT INTO bulk.accounts (id, email, password_hash) VALUES (%s, %s, 'x')", (ann, ANN)
            )
            connection.execute(
                "INSERT INTO bulk.export_jobs (id, table_name, format, requested_by, idempotency_key, updated_at)"
                " VALUES (%s, 'users', 'csv', 'api', %s, '2026-01-01Z')",
                (export, f"{ann}/{export}"),
            )
        migrate(empty_database_url)
        with psycopg.connect(empty_database_url) as connection:
            account = connection.execute(
                "SELECT import_tables, export_tables, jobs, token_generation, disabled_at FROM bulk.accounts"
            ).fetchone()
            job = connection.execute(
                "SELECT owner_id::text, updated_at = '2026-01-01Z' FROM bulk.export_jobs"
            ).fetchone()
        assert account == (["*"], ["*"], "own", 0, None)
        assert job == (ann, True)


def look_and_cancel(api: TestClient, person: Person, url: str, file: str) -> list[Any]:
    return [
        api.get(url, headers=person.headers),
        api.get(f"{url}/{file}", headers=person.headers),
        api.post(f"{url}/cancel", headers=person.headers),
    ]


@dataclass
class Model:
    """A model of the rights of accounts, independent of the code: jobs by id, and their owners."""

    imports: dict[str, str | None] = field(default_factory=dict)
    exports: dict[str, str | None] = field(default_factory=dict)

    @staticmethod
    def allowed(named: tuple[str, ...], table: str) -> bool:
        return table in named or named == ("*",)

    def visible(self, jobs: dict[str, str | None], person: Person, rights: Rights) -> set[str]:
        return {job_id for job_id, owner in jobs.items() if rights.jobs == "all" or owner == person.id}


named_tables = st.one_of(
    st.just((EVERY_TABLE,)), st.lists(st.sampled_from(tables.names()), unique=True, max_size=3).map(tuple)
)
any_rights = st.builds(Rights, named_tables, named_tables, st.sampled_from(JobsRight))


@examples(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rights=st.tuples(any_rights, any_rights),
    asked=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from(tables.names())), min_size=1, max_size=4
    ),
)
def test_two_accounts_do_and_see_exactly_what_their_rights_allow(
    strict: TestClient,
    stores: Stores,
    new_person: Callable[[str], Person],
    model: Model,
    rights: tuple[Rights, Rights],
    asked: list[tuple[bool, bool, str]],
) -> None:
    people = [person_of(stores, new_person, email) for email in (ANN, BOB)]
    for email, right in zip((ANN, BOB), rights, strict=True):
        stores.accounts.set_rights(email, right)
    model.exports[stores.exports.ask(ExportRequest.of(table="users")).id] = None
    for by_ann, is_import, table in asked:
        person, right = (people[0], rights[0]) if by_ann else (people[1], rights[1])
        ask, named, jobs = (
            (ask_import, right.import_tables, model.imports)
            if is_import
            else (ask_export, right.export_tables, model.exports)
        )
        answer = ask(strict, person, table)
        assert answer.status_code == (202 if model.allowed(named, table) else 403), answer.text
        if answer.status_code == 202:
            jobs[answer.json()["id"]] = person.id
    for person, right in zip(people, rights, strict=True):
        for path, what, jobs in ((IMPORTS, "imports", model.imports), (EXPORTS, "exports", model.exports)):
            seen = model.visible(jobs, person, right)
            listed = strict.get(f"{path}?limit=200", headers=person.headers).json()[what]
            assert {job["id"] for job in listed} == seen
            for job_id in list(jobs)[-4:]:
                result = strict.get(f"{path}/{job_id}", headers=person.headers).status_code
                assert result == (200 if job_id in seen else 404)
        hidden = set(model.exports) - model.visible(model.exports, person, right)
        for job_id in sorted(hidden)[-2:]:
            assert strict.post(f"{EXPORTS}/{job_id}/cancel", headers=person.headers).status_code == 404
            assert stores.exports.get(job_id).status == "pending"


@pytest.fixture
def model() -> Model:
    """A model that grows from example to example, like the ledger."""
    return Model()


def person_of(stores: Stores, new_person: Callable[[str], Person], email: str) -> Person:
    """Return the client with this address, which an earlier example may have created."""
    known = {account.email: account for account in stores.accounts.all()}
    if email not in known:
        return new_person(email)
    return Person(known[email].id, new_token(stores.settings, known[email]))
