"""Download a table, at once or as a file that a job prepares."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import JobsRight, Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pages import Browser, texts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

TABLE = "/office/exports/tables/customers"
NOW, LATER = "Download now", "Prepare a file for later"
CUSTOMERS = (
    "email,first_name,city\nada@example.com,=Ada,London\nbo@example.com,Jürgen,Köln\ncy@example.com,Cy,\n"
)


@pytest.fixture
def filled(office: Browser, pipeline: Pipeline) -> Browser:
    """Ann's browser, with three customers in the table."""
    pipeline.load("customers/a.csv", CUSTOMERS.encode())
    return office


def jobs(pipeline: Pipeline) -> int:
    return pipeline.query("SELECT count(*) FROM bulk.export_jobs")[0][0]


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("nonsense", "not a condition"),
        ("shoe_size = 3", "shoe_size"),
        ("created_at >= yesterday", "yesterday"),
        ("city = x\n" * 101, "101 conditions are too many"),
        ("<b>'; DROP TABLE customers", "not a condition"),
    ],
)
def test_a_condition_that_cannot_be_met_is_said_above_the_form_which_stays_filled(
    filled: Browser, pipeline: Pipeline, where: str, sentence: str
) -> None:
    for button in (NOW, LATER):
        page = filled.fill(filled.open(TABLE), button, where=where, format="ndjson")
        (box,) = page.all("div", class_="problem")
        assert (page.status, sentence in texts(box)) == (400, True), texts(box)
        (field,) = page.all("textarea")
        assert "".join(field.itertext()).split() == where.split()
        (chosen,) = [option for option in page.all("option") if "selected" in option.attrib]
        assert chosen.attrib["value"] == "ndjson"
    assert jobs(pipeline) == 0


def test_a_form_of_another_session_does_nothing(filled: Browser, pipeline: Pipeline) -> None:
    page = filled.open(TABLE)
    filled.fill(page, "Sign out")
    filled.sign_in("ann@example.com")
    assert filled.fill(page, LATER).status == 403
    assert jobs(pipeline) == 0


class TestPeopleWithoutTheRight:
    @pytest.fixture
    def eve(self, api: TestClient, new_person: Callable[[str], Person], pipeline: Pipeline) -> Browser:
        """A browser of somebody who may see all exports, and export users only."""
        new_person("eve@example.com")
        rights = Rights(("customers",), ("users",), JobsRight.ALL)
        pipeline.stores.accounts.set_rights("eve@example.com", rights)
        browser = Browser(api)
        browser.sign_in("eve@example.com")
        return browser

    def test_a_table_answers_like_one_that_does_not_exist(self, eve: Browser) -> None:
        page, unknown = eve.open(TABLE), eve.open("/office/exports/tables/nothing")
        assert (page.status, page.html) == (404, unknown.html)
        assert "customers" not in eve.open("/office/exports").html

    def test_a_file_that_was_prepared_for_others_is_no_download(
        self, eve: Browser, filled: Browser, exporting: Exporting
    ) -> None:
        link = _prepared(filled, exporting)
        assert filled.send("GET", link).status_code == 200
        assert eve.open(link).status == 404
        assert "Download" not in eve.open("/office/exports").main.itertext()

    def test_nobody_sees_exports_of_others_without_the_right(
        self, eve: Browser, filled: Browser, exporting: Exporting, pipeline: Pipeline
    ) -> None:
        link = _prepared(filled, exporting)
        pipeline.stores.accounts.set_rights("eve@example.com", Rights((), ("*",)))
        assert eve.open(link).status == 404
        assert eve.open("/office/exports").rows == []

    def test_whoever_may_download_nothing_is_told_so(self, eve: Browser, pipeline: Pipeline) -> None:
        pipeline.stores.accounts.set_rights("eve@example.com", Rights(("users",), ()))
        assert "Your account is not allowed to download tables" in eve.open("/office/exports").text


def _prepared(browser: Browser, exporting: Exporting, **values: Any) -> str:
    """Have a file prepared, and return the address of its download."""
    page = browser.fill(browser.open(TABLE), LATER, **values)
    assert page.path == "/office/exports"
    for job in exporting.stores.exports.newest():
        if not job.status.is_final:
            exporting.run(job)
    page = browser.open("/office/exports")
    return next(link for text, link in page.links.items() if text.startswith("Download"))


def test_the_rows_are_downloaded_at_once_for_spreadsheets(filled: Browser) -> None:
    answer = filled.press(
        filled.open(TABLE),
        NOW,
        format="spreadsheet",
        where="city is not null\nemail != bo@example.com",
        column="email",
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="customers.csv"'
    assert answer.content.decode() == '\ufeffemail,_defused\n"ada@example.com",\n'


def test_every_format_is_a_download_that_could_be_imported_again(filled: Browser) -> None:
    page = filled.open(TABLE)
    values = [option.attrib["value"] for option in page.all("option")]
    assert values == ["xlsx", "spreadsheet", "csv", "ndjson", "parquet", "tsv", "json"]
    starts = [filled.press(page, NOW, format=value, column="email").content[:4] for value in values]
    assert starts == [b"PK\x03\x04", "\ufeffe".encode(), b"emai", b'{"em', b"PAR1", b"emai", b'[\n{"']


def test_too_many_downloads_at_a_time_are_a_page(settings: Settings, ann: Person) -> None:
    stores = Stores(settings.model_copy(update={"api_max_streams": 1}))
    app = create_app(stores)
    with TestClient(app) as client:
        browser = Browser(client)
        browser.sign_in("ann@example.com")
        app.state.streams.running["another"] = None
        page = browser.fill(browser.open(TABLE), NOW)
        app.state.streams.running.clear()
    assert (page.status, page.heading) == (429, "Too much at once")


def test_a_file_is_prepared_once_for_a_form_that_is_sent_twice(
    filled: Browser, pipeline: Pipeline, exporting: Exporting
) -> None:
    form = filled.open(TABLE)
    for _ in range(2):
        filled.fill(form, LATER, where="city is null", format="csv")
    assert jobs(pipeline) == 1
    filled.fill(form, LATER, format="csv")
    assert jobs(pipeline) == 2
    rows = filled.open("/office/exports").rows
    assert [row[:5] for row in rows] == [
        ["customers", "CSV", "being prepared", "0", ""],
        ["customers", "CSV", "being prepared", "0", "city is null"],
    ]
    for job in pipeline.stores.exports.newest():
        exporting.run(job)
    page = filled.open("/office/exports")
    assert [row[:4] for row in page.rows] == [
        ["customers", "Download CSV", "ready", "3"],
        ["customers", "Download CSV", "ready", "1"],
    ]
    assert "refresh" not in page.html


def test_a_file_without_rows_is_a_download_too(filled: Browser, exporting: Exporting) -> None:
    link = _prepared(filled, exporting, where="city = Nowhere", column="email", format="csv")
    answer = filled.send("GET", link)
    assert (answer.status_code, answer.content) == (200, b"email\n")


@pytest.mark.parametrize("export_id", ["01a00000-0000-7000-8000-000000000000", "x"])
def test_an_unknown_export_is_a_page(office: Browser, export_id: str) -> None:
    assert office.open(f"/office/exports/{export_id}/download").status == 404
