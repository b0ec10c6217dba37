"""Check a file without loading it, then load it or not."""

import io
import time
from collections.abc import Callable
from datetime import timedelta

import openpyxl
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.pipeline import cleaning
from bulk_pipeline.rights import JobsRight, Rights
from bulk_pipeline_tests.integration.office.test_uploads import BAD, GOOD, IDS, TABLE, jobs, state
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pages import Browser, Page, texts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

CHECK, LOAD = "Check only", "Load it now"


def checked(browser: Browser, content: bytes, name: str = "users.csv") -> Page:
    """Return the page of the check once it has ended."""
    page = browser.fill(browser.open(TABLE), CHECK, files={"file": (name, content)})
    assert page.path.startswith("/office/checks/"), page.text
    until = time.monotonic() + 120
    while "is being checked" in page.text:
        assert time.monotonic() < until, "the check does not end"
        time.sleep(0.1)
        page = browser.open(page.path)
    return page


def test_a_file_without_a_usable_header_is_told_why_and_can_not_harm(
    office: Browser, pipeline: Pipeline
) -> None:
    page = checked(office, b"slug;title\na;b\n")
    assert state(page).startswith("The file could not be checked. no usable header: found slug, title")
    assert jobs(pipeline) == 0


@pytest.mark.parametrize(
    ("name", "content"), [("users.csv", b""), ("users.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100)]
)
def test_a_file_that_holds_no_table_is_refused_at_once(
    office: Browser, pipeline: Pipeline, name: str, content: bytes
) -> None:
    page = office.fill(office.open(TABLE), CHECK, files={"file": (name, content)})
    assert (page.status, page.heading) == (400, "Send a file for users")
    assert pipeline.query("SELECT count(*) FROM bulk.file_checks") == [(0,)]


def test_wrong_cells_are_marked_and_nothing_is_loaded_until_it_is_asked_for(
    office: Browser, pipeline: Pipeline
) -> None:
    page = checked(office, BAD, "<b>users</b>.csv")
    assert page.heading == "<b>users</b>.csv"
    assert state(page) == "2 rows can be loaded. 1 row would be rejected."
    assert texts(page.all("td", class_="wrong")[0]).startswith("nobodyemail 'nobody' is not")
    assert (jobs(pipeline), pipeline.query("SELECT count(*) FROM users")) == (0, [(0,)])
    upload = office.fill(page, LOAD)
    again = office.fill(page, LOAD)
    assert (again.path, jobs(pipeline)) == (upload.path, 1)
    pipeline.work_off()
    assert state(office.open(upload.path)) == "2 rows are in the table. 1 row was rejected."


def test_a_file_without_problems_can_be_loaded(office: Browser) -> None:
    assert state(checked(office, GOOD)) == "All 2 rows can be loaded."


def preview(page: Page) -> tuple[list[str], list[list[str]]]:
    """Return the sentences about how the file was read, and the rows with their numbers below the columns."""
    (table,) = page.all("table", class_="preview")
    rows = [[texts(cell) for cell in row] for row in table.iter("tr")]
    return [texts(item) for item in page.all("li")], rows


def test_it_shows_that_title_rows_of_a_workbook_were_skipped(office: Browser) -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for cells in (
        ["Our users"],
        [],
        ["E-Mail", "Name", "Role", "ID"],
        ["a@example.com", "<b>Ann</b>", "admin", IDS[0]],
    ):
        sheet.append(cells)
    book.save(file)
    sentences, rows = preview(checked(office, file.getvalue(), "users.xlsx"))
    assert sentences == [
        "The file is an Excel workbook.",
        "The names of the columns are in row 3 of the file.",
        "The 2 rows above it were not used.",
    ]
    assert rows == [
        ["Row", "id", "email", "name", "role"],
        ["4", IDS[0], "a@example.com", "<b>Ann</b>", "admin"],
    ]


def test_it_shows_the_first_rows_of_a_text_file_as_they_were_read(office: Browser) -> None:
    lines = [f"{IDS[0]};u{number}@example.com;no\u202ebody{'x' * 300};admin" for number in range(7)]
    page = checked(office, "\n".join(["id;email;name;role", *lines]).encode())
    sentences, rows = preview(page)
    assert sentences == [
        "The cells are separated by semicolons.",
        "The letters were read as utf-8.",
        "The names of the columns are in row 1 of the file.",
        "No row above it was left out.",
    ]
    assert [[row[0], row[2]] for row in rows[1:]] == [
        [str(number + 2), f"u{number}@example.com"] for number in range(5)
    ]
    assert rows[1][3].startswith("no\\u202ebodyxxx")
    assert rows[1][3].endswith("x…")
    assert "\u202e" not in page.html


def test_a_form_that_is_sent_twice_is_one_check(office: Browser, pipeline: Pipeline) -> None:
    form = office.open(TABLE)
    pages = [office.fill(form, CHECK, files={"file": ("users.csv", GOOD)}) for _ in range(2)]
    assert pages[0].path == pages[1].path
    assert pipeline.query("SELECT count(*) FROM bulk.file_checks") == [(1,)]


def test_a_check_that_was_interrupted_says_so(office: Browser, pipeline: Pipeline) -> None:
    page = checked(office, GOOD)
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(
            "UPDATE bulk.file_checks SET finished_at = NULL, created_at = now() - interval '31 minutes'"
        )
    page = office.open(page.path)
    assert state(page) == "The check was interrupted: send the file again."
    assert LOAD not in page.text


def test_a_check_is_its_owners_even_for_those_who_see_all_jobs(
    office: Browser, api: TestClient, new_person: Callable[[str], Person], pipeline: Pipeline
) -> None:
    page = checked(office, GOOD)
    new_person("eve@example.com")
    pipeline.stores.accounts.set_rights("eve@example.com", Rights(("*",), ("*",), JobsRight.ALL))
    eve = Browser(api)
    eve.sign_in("eve@example.com")
    assert eve.open(page.path).status == 404
    pipeline.stores.accounts.set_rights("ann@example.com", Rights(("customers",), ()))
    assert office.open(page.path).status == 404
    assert office.fill(page, LOAD).status == 404
    assert jobs(pipeline) == 0


def test_old_checks_are_removed_with_their_files(office: Browser, pipeline: Pipeline) -> None:
    page = checked(office, GOOD)
    archive = pipeline.stores.settings.s3_bucket_archive
    assert cleaning.remove_old_checks(pipeline.stores) == 0
    assert len(pipeline.stores.objects.page(archive, "_checks/").objects) == 1
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.file_checks SET created_at = now() - %s", [timedelta(days=2)])
    assert cleaning.remove_old_checks(pipeline.stores) == 1
    assert pipeline.stores.objects.page(archive, "_checks/").objects == ()
    assert office.open(page.path).status == 404
