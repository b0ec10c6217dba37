"""Send a file, read what became of it, find it again."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import openpyxl
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.api.app import create_app
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import JobsRight, Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pages import Browser, Page, texts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

TABLE = "/office/tables/users"
IDS = [f"01a00000-0000-7000-8000-00000000000{number}" for number in range(4)]
GOOD = f"id,email,name,role\n{IDS[0]},a@example.com,Ann,admin\n{IDS[1]},b@example.com,Bob,editor\n".encode()
BAD = GOOD + f"{IDS[2]},nobody,,king\n".encode()
SEND = "Send and load"
NOTHING = {"id": "", "email": ""}


def send(
    browser: Browser, content: bytes, name: str = "users.csv", table: str = TABLE, **values: str
) -> Page:
    return browser.fill(browser.open(table), SEND, files={"file": (name, content)}, **values)


def jobs(pipeline: Pipeline) -> int:
    return pipeline.query("SELECT count(*) FROM bulk.import_jobs")[0][0]


def state(page: Page) -> str:
    return " ".join(texts(box) for box in page.all("div", class_="state"))


def loaded(
    office: Browser, pipeline: Pipeline, content: bytes, name: str = "users.csv", **values: str
) -> Page:
    """Send the file, run its job, and return the page of the upload."""
    page = send(office, content, name, **values)
    assert page.path.startswith("/office/uploads/"), page.text
    pipeline.work_off()
    return office.open(page.path)


def without_fields(office: Browser, pipeline: Pipeline, page: Page) -> Page:
    """Return the page as somebody reads it who may not import any more, and so cannot correct rows."""
    pipeline.stores.accounts.set_rights("ann@example.com", Rights((), ("*",)))
    return office.open(page.path)


class TestFilesThatCannotBeLoaded:
    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            ("users.csv", b"", "the file is empty"),
            ("users.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "this is a PNG image"),
            ("users.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "save it as .xlsx"),
            ("~$users.xlsx", b"x", "is not an upload"),
        ],
    )
    def test_the_form_says_so_and_there_is_no_upload(
        self, office: Browser, pipeline: Pipeline, name: str, content: bytes, sentence: str
    ) -> None:
        page = send(office, content, name)
        assert (page.status, page.heading) == (400, "Send a file for users")
        (box,) = page.all("div", class_="problem")
        assert sentence in texts(box)
        assert jobs(pipeline) == 0

    def test_no_file_is_a_sentence(self, office: Browser, pipeline: Pipeline) -> None:
        page = office.fill(office.open(TABLE), SEND, mode="upsert")
        assert page.status == 400
        assert "Choose a file first." in page.text
        checked = [
            field.attrib["value"] for field in page.all("input", name="mode") if "checked" in field.attrib
        ]
        assert checked == ["upsert"], "the choice is lost"
        assert jobs(pipeline) == 0

    def test_a_file_that_is_too_large_is_a_page(
        self, settings: Settings, ann: Person, pipeline: Pipeline
    ) -> None:
        with TestClient(
            create_app(Stores(settings.model_copy(update={"api_max_upload_bytes": 1000})))
        ) as client:
            browser = Browser(client)
            browser.sign_in("ann@example.com")
            assert "up to 1 kB" in browser.open(TABLE).text
            page = send(browser, b"x" * 70_000)
        assert (page.status, page.heading) == (413, "The file is too large")
        assert "the file is larger than 1,000 bytes" in page.text
        assert jobs(pipeline) == 0

    def test_the_wrong_table_fails_with_the_names_it_needs(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, b"slug;title\na;b\n")
        assert state(page).startswith("Nothing was loaded. ")
        assert "email" in state(page)
        assert "found slug, title" in state(page)

    def test_every_row_rejected(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, b"id,email,name,role\n,nobody,,king\n")
        assert state(page) == "Nothing was loaded: every row was rejected."

    def test_an_outage_while_the_file_is_stored_is_a_page_and_the_form_can_be_sent_again(
        self, office: Browser, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise StoreUnavailableError("s3 is away")

        form = office.open(TABLE)
        stores = office.client.app.state.stores  # pyright: ignore  # noqa: PGH003
        with monkeypatch.context() as patch:
            patch.setattr(stores.objects, "upload", fail)
            page = office.fill(form, SEND, files={"file": ("users.csv", GOOD)})
        assert (page.status, page.heading) == (503, "The service is not available at the moment")
        again = office.fill(form, SEND, files={"file": ("users.csv", GOOD)})
        assert again.path.startswith("/office/uploads/")


class TestPeopleWithoutTheRight:
    @pytest.fixture
    def eve(self, api: TestClient, new_person: Callable[[str], Person], pipeline: Pipeline) -> Browser:
        """A browser of somebody who may import into users only."""
        new_person("eve@example.com")
        pipeline.stores.accounts.set_rights("eve@example.com", Rights(("users",), ()))
        browser = Browser(api)
        browser.sign_in("eve@example.com")
        return browser

    @pytest.mark.parametrize("rest", ["", "/template.csv", "/template.xlsx"])
    def test_a_table_answers_like_one_that_does_not_exist(self, eve: Browser, rest: str) -> None:
        page, unknown = (eve.open(f"/office/tables/{table}{rest}") for table in ("customers", "nothing"))
        assert (page.status, page.heading) == (404, "There is no such page")
        assert page.html == unknown.html

    def test_a_form_for_it_does_nothing(self, eve: Browser, office: Browser, pipeline: Pipeline) -> None:
        form = eve.open(TABLE).form(SEND)
        fields = {
            field.attrib["name"]: (None, field.attrib["value"])
            for field in form.iter("input")
            if "value" in field.attrib
        }
        answer = eve.send(
            "POST", "/office/tables/customers/uploads", files=fields | {"file": ("a.csv", b"email\n")}
        )
        assert answer.status_code == 404
        assert jobs(pipeline) == 0

    @pytest.mark.parametrize("rest", ["", "/errors.csv", "/rejected", "/original"])
    def test_uploads_of_others_are_not_there(
        self, eve: Browser, office: Browser, pipeline: Pipeline, rest: str
    ) -> None:
        page = loaded(office, pipeline, BAD)
        assert eve.open(f"{page.path}{rest}").status == 404
        assert "You have not sent a file yet." in eve.open("/office/uploads").text

    def test_whoever_may_see_all_jobs_sees_them(
        self, eve: Browser, office: Browser, pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, BAD)
        pipeline.stores.accounts.set_rights("eve@example.com", Rights(jobs=JobsRight.ALL))
        assert eve.open(page.path).heading == "users.csv"
        assert [row[0] for row in eve.open("/office/uploads").rows] == ["users.csv"]


class TestASessionThatEnds:
    def test_before_the_file_is_sent_nothing_is_kept_and_the_page_says_so(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        form = office.open(TABLE)
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("DELETE FROM bulk.office_sessions")
        page = office.fill(form, SEND, files={"file": ("users.csv", GOOD)})
        assert (page.status, page.heading) == (401, "You are signed out")
        assert "nothing that you sent was kept" in page.text
        assert page.links["Sign in"] == "/office/sign-in"
        assert jobs(pipeline) == 0

    def test_after_another_sign_in_an_old_form_says_that_it_is_out_of_date(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        form = office.open(TABLE)
        office.fill(form, "Sign out")
        office.sign_in("ann@example.com")
        page = office.fill(form, SEND, files={"file": ("users.csv", GOOD)})
        assert page.status == 403
        assert "This form is out of date, and nothing was done" in page.text
        assert jobs(pipeline) == 0


class TestFormsThatAreSentTwice:
    def test_a_double_click_is_one_upload(self, office: Browser, pipeline: Pipeline) -> None:
        form = office.open(TABLE)

        def click(_: int) -> str:
            twin = replace(office, cookies=dict(office.cookies))
            return twin.fill(form, SEND, files={"file": ("users.csv", GOOD)}).path

        with ThreadPoolExecutor(4) as threads:
            paths = set(threads.map(click, range(4)))
        assert len(paths) == 1
        assert jobs(pipeline) == 1

    def test_the_same_form_with_another_file_is_another_upload(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        form = office.open(TABLE)
        first = office.fill(form, SEND, files={"file": ("users.csv", GOOD)})
        second = office.fill(form, SEND, files={"file": ("users.csv", BAD)})
        third = office.fill(form, SEND, files={"file": ("users.csv", GOOD)}, mode="upsert")
        assert len({first.path, second.path, third.path}) == 3

    def test_two_tabs_are_two_uploads(self, office: Browser, pipeline: Pipeline) -> None:
        tabs = office.open(TABLE), office.open(TABLE)
        pages = [office.fill(tab, SEND, files={"file": ("users.csv", GOOD)}) for tab in tabs]
        assert len({page.path for page in pages}) == 2

    def test_the_form_is_not_kept_for_the_way_back(self, office: Browser) -> None:
        assert office.open(TABLE).headers["cache-control"] == "no-store"


class TestThePageOfAnUpload:
    def test_it_says_what_happens_until_the_end(self, office: Browser, pipeline: Pipeline) -> None:
        page = send(office, GOOD)
        assert page.heading == "users.csv"
        assert state(page).startswith("Your file has arrived and is waiting for its turn.")
        assert [meta.attrib for meta in page.tree.iter("meta") if "http-equiv" in meta.attrib] == [
            {"http-equiv": "refresh", "content": "3"}
        ]
        pipeline.work_off()
        page = office.open(page.path)
        assert state(page) == "All 2 rows are in the table."
        assert "refresh" not in page.html
        assert pipeline.query("SELECT email FROM users ORDER BY email") == [
            ("a@example.com",),
            ("b@example.com",),
        ]

    def test_progress_is_in_rows(self, office: Browser, pipeline: Pipeline) -> None:
        page = send(office, GOOD)
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("UPDATE bulk.import_jobs SET status = 'processing', total_rows = 4000")
            connection.execute(
                "INSERT INTO bulk.import_batches (job_id, first_row, last_row, attempt, inserted, updated, unchanged, superseded, rejected) "
                "SELECT id, 1, 1234, 1, 1234, 0, 0, 0, 0 FROM bulk.import_jobs"
            )
        page = office.open(page.path)
        assert state(page).startswith("1,234 of 4,000 rows are done.")
        (bar,) = page.all("progress")
        assert (bar.attrib["value"], bar.attrib["max"]) == ("1234", "4000")

    def test_rejected_rows_are_shown_with_the_wrong_cells_marked(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = without_fields(office, pipeline, loaded(office, pipeline, BAD))
        assert state(page) == "2 rows are in the table. 1 row was rejected."
        (row,) = [row for body in page.tree.iter("tbody") for row in body]
        assert texts(row[0]) == "4"
        assert [texts(cell) for cell in row[1:]] == [
            IDS[2],
            "nobodyemail 'nobody' is not an address like local@domain.tld",
            "emptyname is required, but the cell is empty",
            "kingrole 'king' is not one of admin, author, editor, reader",
        ]
        assert [cell.attrib.get("class") for cell in row[1:]] == [None, "wrong", "wrong", "wrong"]
        assert [texts(cell) for cell in page.all("th", scope="col")] == ["Row", "id", "email", "name", "role"]

    def test_a_sheet_names_its_rows_as_the_sheet_does(self, office: Browser, pipeline: Pipeline) -> None:
        book, file = openpyxl.Workbook(), io.BytesIO()
        sheet = book.active
        assert sheet is not None
        for cells in (
            ["Our users"],
            [],
            ["ID", "E-Mail", "Name", "Role"],
            [IDS[0], "a@example.com", "Ann", "admin"],
            [IDS[1], "nobody", "Bob", "admin"],
        ):
            sheet.append(cells)
        book.save(file)
        page = without_fields(office, pipeline, loaded(office, pipeline, file.getvalue(), "users.xlsx"))
        assert page.rows[0][0] == "5"

    def test_files_can_be_downloaded(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD, "März <b>.csv")
        named = {
            "List of all problems (CSV)": "M%C3%A4rz%20%3Cb%3E-errors.csv",
            "Rejected rows as they were sent": "M%C3%A4rz%20%3Cb%3E-rejected.csv",
            "Rejected rows for Excel, wrong cells in red": "M%C3%A4rz%20%3Cb%3E-rejected.xlsx",
            "Download it as it was sent": "M%C3%A4rz%20%3Cb%3E.csv",
        }
        contents = {}
        for link, name in named.items():
            answer = office.send("GET", page.links[link])
            assert answer.status_code == 200
            assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
            assert answer.headers["x-content-type-options"] == "nosniff"
            contents[link] = answer.content
        assert contents["Download it as it was sent"] == BAD
        assert contents["List of all problems (CSV)"].startswith(b"row,error,raw")
        assert f"{IDS[2]},nobody,,king".encode() in contents["Rejected rows as they were sent"]
        workbook = openpyxl.load_workbook(io.BytesIO(contents["Rejected rows for Excel, wrong cells in red"]))
        assert [cell.value for cell in workbook["rejected rows"][2]][-4:] == [IDS[2], "nobody", "", "king"]

    def test_files_that_have_expired_are_no_links(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD)
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("UPDATE bulk.import_jobs SET reports = '{}', archive_key = NULL")
        for link in (
            "Rejected rows as they were sent",
            "List of all problems (CSV)",
            "Download it as it was sent",
        ):
            assert office.open(page.links[link]).status == 404
            assert link not in office.open(page.path).links
        assert (
            "The lists of rejected rows are kept for a limited time only, and have been deleted"
            in office.open(page.path).text
        )

    @pytest.mark.parametrize(
        "link", ["Rejected rows as they were sent", "Rejected rows for Excel, wrong cells in red"]
    )
    def test_corrected_rows_can_be_sent_again(self, office: Browser, pipeline: Pipeline, link: str) -> None:
        page = loaded(office, pipeline, BAD)
        rejected = office.send("GET", page.links[link]).content
        corrected = {"nobody": "c@example.com", "": "Cleo", "king": "reader"}
        if link.endswith("red"):
            book, file = openpyxl.load_workbook(io.BytesIO(rejected)), io.BytesIO()
            row = book["rejected rows"][2]
            for cell, value in zip(row[-3:], corrected.values(), strict=True):
                cell.value = value
            book.save(file)
            sent, name = file.getvalue(), "users-rejected.xlsx"
        else:
            sent, name = rejected.replace(b"nobody,,king", ",".join(corrected.values()).encode()), "fixed.csv"
        assert state(loaded(office, pipeline, sent, name)) == "The row is in the table."
        assert "Nothing: every rejected row was corrected in a later upload." in office.open(page.path).text

    def test_stopping_leaves_the_rest_of_the_rows_out(self, office: Browser, pipeline: Pipeline) -> None:
        page = office.fill(send(office, GOOD), "Stop this upload")
        assert state(page) == "The upload was stopped. 0 rows had been loaded by then."
        pipeline.work_off()
        assert pipeline.query("SELECT count(*) FROM users") == [(0,)]

    def test_stopping_one_that_has_ended_shows_how(self, office: Browser, pipeline: Pipeline) -> None:
        before = send(office, GOOD)
        pipeline.work_off()
        assert state(office.fill(before, "Stop this upload")) == "All 2 rows are in the table."

    @pytest.mark.parametrize("job_id", ["01a00000-0000-7000-8000-000000000000", "x", "%00"])
    def test_an_unknown_upload_is_a_page(self, office: Browser, job_id: str) -> None:
        assert office.open(f"/office/uploads/{job_id}").status == 404


class TestHostileCells:
    def test_html_is_text(self, office: Browser, pipeline: Pipeline) -> None:
        cell = "<script>alert(1)</script>"
        content = f'id,email,name,role\n{IDS[0]},{cell},"<img src=x onerror=x>",admin\n'.encode()
        page = without_fields(office, pipeline, loaded(office, pipeline, content, "<b>users</b>.csv"))
        assert page.heading == "<b>users</b>.csv"
        assert cell in page.text
        assert [e.tag for e in page.tree.iter() if e.tag in ("img", "b") and "alert" in texts(e)] == ["b"]
        assert page.html.count("<script") == 1
        assert "<img" not in page.html
        listed = office.open("/office/uploads")
        assert listed.rows[0][0] == "<b>users</b>.csv"

    def test_marks_of_direction_and_control_characters_are_visible(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        content = f"id,email,name,role\n{IDS[0]},no\u202ebody\u0007,Ann,admin\n".encode()
        page = without_fields(office, pipeline, loaded(office, pipeline, content, "users\u202evsc.csv"))
        assert page.heading == "users\\u202evsc.csv"
        assert "no\\u202ebody\\x07" in page.rows[0][2]
        assert not set("\u202e\u0007") & set(page.html)

    def test_a_cell_of_ten_megabytes_is_cut(self, office: Browser, pipeline: Pipeline) -> None:
        content = f"id,email,name,role\n{IDS[0]},{'x' * 10_000_000},Ann,admin\n".encode()
        page = loaded(office, pipeline, content)
        assert len(page.html) < 20_000
        assert f"{'x' * 199}…" in page.text

    def test_a_quote_that_is_never_closed_is_shown_without_its_cells(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, GOOD + b'x,"y,z\nw,1\n')
        assert "2 rows are in the table." in state(page)
        assert page.all("td", class_="wrong")


class TestTheTable:
    def test_it_says_what_a_file_needs(self, office: Browser) -> None:
        page = office.open(TABLE)
        rows = {name: rest for name, *rest in page.rows}
        assert rows["email"][0] == "yes"
        assert "one of admin, author, editor, reader" in rows["role"][2]
        for link, start in (("for Excel", b"PK"), ("as CSV", b"id,email")):
            answer = office.send("GET", page.links[link])
            assert answer.content.startswith(start)
            assert 'filename="users.' in answer.headers["content-disposition"]

    def test_every_field_has_a_label(self, office: Browser) -> None:
        for path in ("/office/sign-in", TABLE, "/office/uploads"):
            page = office.open(path)
            labelled = {field for label in page.tree.iter("label") for field in label.iter()}
            for field in page.tree.iter():
                if field.tag in ("input", "select", "textarea") and field.attrib.get("type") != "hidden":
                    assert field in labelled, f"{path}: {field.attrib}"


class TestTheList:
    def test_it_has_state_and_counts(self, office: Browser, pipeline: Pipeline) -> None:
        send(office, BAD, "bad.csv")
        pipeline.work_off()
        send(office, GOOD, "good.csv")
        assert [row[:5] for row in office.open("/office/uploads").rows] == [
            ["good.csv", "waiting", "0", "0", "users"],
            ["bad.csv", "partly in the table", "2", "1", "users"],
        ]

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("march", ["march 100%.csv", "March.CSV"]),
            ("100%", ["march 100%.csv"]),
            ("_", []),
            ("m*.csv", ["march 100%.csv", "March.CSV"]),
            ("<b>", []),
            ("\0x", []),
        ],
    )
    def test_it_can_be_searched_by_name(
        self, office: Browser, pipeline: Pipeline, search: str, found: list[str]
    ) -> None:
        for name in ("March.CSV", "april.csv", "march 100%.csv"):
            send(office, GOOD + name.encode(), name)
        page = office.fill(office.open("/office/uploads"), "Search", search=search)
        assert [row[0] for row in page.rows] == found
        if not found:
            assert "No uploaded file has" in page.text

    def test_ten_thousand_are_read_page_by_page_each_once(
        self, office: Browser, ann: Person, pipeline: Pipeline
    ) -> None:
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute(_MANY, {"owner": ann.id})
        names, path = list[str](), "/office/uploads?search=file"
        for _ in range(5):
            page = office.open(path)
            names += [row[0] for row in page.rows]
            path = page.links["Older uploads"]
        assert names == [f"file {number}.csv" for number in range(10_000, 9_750, -1)]
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("DELETE FROM bulk.import_jobs WHERE upload_name > 'file 2'")
        page = office.open(path)
        assert page.status == 200

    def test_a_forged_cursor_is_a_page(self, office: Browser) -> None:
        page = office.open("/office/uploads?cursor=x")
        assert page.status == 400


_MANY: Any = """
    INSERT INTO bulk.import_jobs
        (id, table_name, mode, bucket, key, etag, size_bytes, arrived_at, upload_name, owner_id, created_at)
    SELECT bulk.uuid_v7(), 'users', 'insert_only', 'b', 'k' || n, 'e', 1, now(), 'file ' || n || '.csv', %(owner)s,
           now() + n * interval '1 second'
    FROM generate_series(1, 10000) AS n
"""
