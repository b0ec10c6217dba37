"""Correct rejected rows on the page of their upload, until every row is in the table."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import openpyxl
import pytest
from starlette.testclient import TestClient

from bulk_pipeline.rights import JobsRight, Rights
from bulk_pipeline_tests.integration.office.test_uploads import BAD, GOOD, IDS, jobs, loaded, state
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pages import Browser, Page, texts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

SEND = "Send the corrected rows"
FIXED = "Nothing: every rejected row was corrected in a later upload."
HEADER = b"id,email,name,role\n"
RIGHT = {"cell-3-1": "c@example.com", "cell-3-2": "Cleo", "cell-3-3": "reader"}


def corrected(office: Browser, pipeline: Pipeline, page: Page, **values: str) -> Page:
    """Send the form with these cells, load its rows, and return the page of that upload."""
    sent = office.fill(page, SEND, files=None, **values)
    assert sent.status == 200, sent.text
    assert sent.path != page.path
    pipeline.work_off()
    return office.open(sent.path)


def fields(page: Page) -> dict[str, str]:
    """Return what stands in the fields of the cells."""
    inputs = {field.attrib["name"]: field.attrib["value"] for field in page.all("input", autocomplete="off")}
    areas = {
        area.attrib["name"]: "".join(area.itertext()).removeprefix("\n") for area in page.all("textarea")
    }
    return inputs | areas


def sent_file(pipeline: Pipeline, page: Page) -> bytes:
    job = pipeline.stores.ledger.get(page.path.rpartition("/")[2])
    assert job.archive_key is not None
    with pipeline.stores.objects.open(pipeline.stores.settings.s3_bucket_archive, job.archive_key) as file:
        return file.read()


class TestAllTheWay:
    def test_a_workbook_as_offices_make_them_is_finished_by_the_page_alone(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        book, file = openpyxl.Workbook(), io.BytesIO()
        sheet = book.active
        assert sheet is not None
        for cells in (
            ["Customers of the branch"],
            ["as of", date(2026, 1, 31)],
            [],
            ["E-Mail", "First name", "Last name", "created_at"],
            ["a@example.com", "Ann", "Archer", date(2026, 1, 5)],
            ["nobody", "Bob", "Baker", date(2026, 1, 6)],
            ["c@example.com", "Cleo", "Carter", "soon"],
            ["Sum", 3, None, None],
        ):
            sheet.append(cells)
        book.save(file)
        page = office.fill(
            office.open("/office/tables/customers"),
            "Send and load",
            files={"file": ("branch.xlsx", file.getvalue())},
        )
        pipeline.work_off()
        parent = office.open(page.path)
        assert state(parent) == "1 row is in the table. 3 rows were rejected."
        assert [texts(legend) for legend in parent.all("legend")] == ["Row 6", "Row 7", "Row 8"]
        wrong = [field.attrib for field in parent.all("input") if field.attrib.get("aria-invalid") == "true"]
        assert [field["name"] for field in wrong] == ["cell-2-0", "cell-3-3", "cell-4-0"]
        child = corrected(
            office,
            pipeline,
            parent,
            **{"cell-2-0": "b@example.com", "cell-3-3": "2026-01-07", "leave-4": "yes"},
        )
        assert state(child) == "All 2 rows are in the table."
        assert child.links["branch.xlsx"] == parent.path
        parent = office.open(parent.path)
        assert "2 rejected rows were corrected in later uploads, 1 is still to be corrected." in parent.text
        assert list(fields(parent).values()) == ["Sum", "3", "", ""]
        corrected(
            office,
            pipeline,
            parent,
            **{"cell-4-0": "s@example.com", "cell-4-1": "Sue", "cell-4-2": "Summers"},
        )
        assert FIXED in office.open(parent.path).text
        assert pipeline.query("SELECT email, created_at::date FROM customers ORDER BY email")[1:3] == [
            ("b@example.com", date(2026, 1, 6)),
            ("c@example.com", date(2026, 1, 7)),
        ]

    def test_rows_that_are_wrong_again_can_be_corrected_where_they_are_shown(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        parent = loaded(office, pipeline, BAD)
        child = corrected(office, pipeline, parent, **RIGHT | {"cell-3-3": "queen"})
        assert fields(child) == {
            "cell-1-0": IDS[2],
            "cell-1-1": "c@example.com",
            "cell-1-2": "Cleo",
            "cell-1-3": "queen",
        }
        last = corrected(office, pipeline, child, **{"cell-1-3": "admin"})
        assert state(last) == "The row is in the table."
        assert FIXED in office.open(parent.path).text
        assert SEND not in office.open(child.path).text


class TestTheForm:
    def test_each_cell_is_a_field_with_its_reason(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD)
        assert fields(page) == {"cell-3-0": IDS[2], "cell-3-1": "nobody", "cell-3-2": "", "cell-3-3": "king"}
        wrong = [field.attrib for field in page.all("input") if field.attrib.get("aria-invalid") == "true"]
        reasons = {element.attrib["id"]: texts(element) for element in page.all("p", class_="why")}
        assert {field["name"]: reasons[field["aria-describedby"]] for field in wrong} == {
            "cell-3-1": "email 'nobody' is not an address like local@domain.tld",
            "cell-3-2": "name is required, but the cell is empty",
            "cell-3-3": "role 'king' is not one of admin, author, editor, reader",
        }

    def test_it_has_fifty_rows_at_most_and_then_the_next(self, office: Browser, pipeline: Pipeline) -> None:
        rows = [
            f"01a00000-0000-7000-8000-0000000000{number:02},nobody,Ann,admin\n" for number in range(10, 65)
        ]
        page = loaded(office, pipeline, HEADER + "".join(rows).encode())
        assert len(page.all("fieldset")) == 50
        assert "There are more rejected rows than a page can have" in page.text
        values = {f"cell-{number}-1": f"u{number}@example.com" for number in range(1, 51)}
        assert state(corrected(office, pipeline, page, **values)) == "All 50 rows are in the table."
        assert [texts(legend) for legend in office.open(page.path).all("legend")] == [
            f"Row {number}" for number in range(52, 57)
        ]

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            (b"x,y\n", "malformed"),
            (f"{IDS[3]},nobody,{'x' * 30_000},admin\n".encode(), "long"),
            (b'x,"y,z\n', "never closed"),
        ],
    )
    def test_rows_that_do_not_fit_are_shown_and_the_files_have_them(
        self, office: Browser, pipeline: Pipeline, row: bytes, why: str
    ) -> None:
        page = loaded(office, pipeline, BAD + row)
        assert [texts(legend) for legend in page.all("legend")] == ["Row 4"], why
        assert "Rows that cannot be corrected on this page" in page.text
        assert [cells[0] for cells in page.rows] == ["5"]
        assert "Rejected rows as they were sent" in page.links
        corrected(office, pipeline, page, **RIGHT)
        page = office.open(page.path)
        assert "Rows that cannot be corrected on this page" in page.text
        assert SEND not in page.text

    def test_rows_of_json_are_for_the_file(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, b'[{"id": null, "email": "nobody", "name": "Ann"}]', "users.json")
        assert "The rows of a JSON or Parquet file cannot be corrected on this page" in page.text
        assert SEND not in page.text

    def test_a_report_without_origins_is_for_the_file(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD)
        ((key,),) = pipeline.query("SELECT reports ->> 'rejected.csv' FROM bulk.import_jobs")
        old = b'_row,_line,_errors,id,email,name,role\n3,4,"no",x,nobody,,king\n'
        pipeline.stores.objects.upload(pipeline.stores.settings.s3_bucket_reports, key, io.BytesIO(old))
        page = office.open(page.path)
        assert "the list of them does not say where they come from" in page.text
        assert SEND not in page.text

    def test_people_who_may_not_import_see_no_form(
        self, office: Browser, api: TestClient, new_person: Callable[[str], Person], pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, BAD)
        new_person("eve@example.com")
        pipeline.stores.accounts.set_rights("eve@example.com", Rights((), ("*",), JobsRight.ALL))
        eve = Browser(api)
        eve.sign_in("eve@example.com")
        assert SEND not in eve.open(page.path).text
        assert eve.open(page.path).rows[0][0] == "4"
        pipeline.stores.accounts.set_rights("ann@example.com", Rights(("customers",), ()))
        assert office.fill(page, SEND, files=None, **RIGHT).status == 404
        assert jobs(pipeline) == 1


class TestNothingIsGuessed:
    def test_cells_that_nobody_touched_keep_their_bytes(self, office: Browser, pipeline: Pipeline) -> None:
        row = f'{IDS[2]},nobody," Ann, ""the first"" ",  admin \n'.encode()
        parent = loaded(office, pipeline, GOOD + row)
        child = corrected(office, pipeline, parent, **{"cell-3-1": "c@example.com"})
        assert sent_file(pipeline, child).partition(b"\n")[2].split(b",", 4)[4] == row.replace(
            b"nobody", b"c@example.com"
        )
        assert pipeline.query("SELECT name FROM users WHERE email = 'c@example.com'") == [
            (' Ann, "the first" ',)
        ]

    def test_an_empty_cell_stays_null_and_an_empty_text_a_text(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        content = b'email,first_name,last_name,city\nnobody,,"",\n'
        page = office.fill(
            office.open("/office/tables/customers"), "Send and load", files={"file": ("c.csv", content)}
        )
        pipeline.work_off()
        child = corrected(
            office, pipeline, office.open(page.path), **{"cell-1-0": "c@example.com", "cell-1-1": "Cleo"}
        )
        assert sent_file(pipeline, child).endswith(b',c@example.com,Cleo,"",\n')

    @pytest.mark.parametrize("value", ['a,b "c"', " ends ", "two\nlines", "Größe <b>", "=1+1"])
    def test_what_is_typed_is_what_is_stored(self, office: Browser, pipeline: Pipeline, value: str) -> None:
        parent = loaded(office, pipeline, BAD)
        corrected(office, pipeline, parent, **RIGHT | {"cell-3-2": value.replace("\n", "\r\n")})
        assert pipeline.query("SELECT name FROM users WHERE email = 'c@example.com'") == [(value,)]

    @pytest.mark.parametrize(
        ("header", "delimiter"), [(b"id;email;name;role", b";"), (b"id\temail\tname\trole", b"\t")]
    )
    def test_other_delimiters_and_line_ends(
        self, office: Browser, pipeline: Pipeline, header: bytes, delimiter: bytes
    ) -> None:
        cells = delimiter.join([IDS[2].encode(), b"nobody", "Jürgen".encode(), b"admin"])
        good = delimiter.join([IDS[1].encode(), b"b@example.com", "Zoë".encode(), b"admin"])
        parent = loaded(office, pipeline, b"\r\n".join([header, good, cells, b""]))
        assert fields(parent)["cell-2-2"] == "Jürgen"
        corrected(office, pipeline, parent, **{"cell-2-1": "c@example.com"})
        assert FIXED in office.open(parent.path).text
        assert ("Jürgen",) in pipeline.query("SELECT name FROM users")


class TestFormsThatAreSentTwice:
    def test_a_double_click_is_one_upload(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD)

        def click(_: int) -> str:
            twin = replace(office, cookies=dict(office.cookies))
            return twin.fill(page, SEND, files=None, **RIGHT).path

        with ThreadPoolExecutor(4) as threads:
            paths = set(threads.map(click, range(4)))
        assert len(paths - {f"{page.path}/corrections"}) == 1
        assert jobs(pipeline) == 2

    def test_the_same_form_leads_to_the_same_upload_when_it_is_loaded(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, BAD)
        child = corrected(office, pipeline, page, **RIGHT)
        assert office.fill(page, SEND, files=None, **RIGHT).path == child.path
        assert jobs(pipeline) == 2

    def test_rows_that_were_corrected_in_another_tab_are_not_sent_again(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, BAD)
        tab = office.open(page.path)
        office.fill(page, SEND, files=None, **RIGHT)
        waiting = office.fill(tab, SEND, files=None, **RIGHT | {"cell-3-2": "Other"})
        assert waiting.status == 400
        assert "are being loaded at the moment, and nothing of this form was sent" in waiting.text
        assert SEND not in office.open(page.path).text
        pipeline.work_off()
        late = office.fill(tab, SEND, files=None, **RIGHT | {"cell-3-2": "Other"})
        assert late.status == 400
        assert "somebody has corrected the rows 4 of the file" in late.text
        assert jobs(pipeline) == 2
        assert pipeline.query("SELECT name FROM users WHERE email = 'c@example.com'") == [("Cleo",)]

    def test_without_a_row_nothing_is_sent_and_what_was_typed_stands_in_the_form(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = office.fill(loaded(office, pipeline, BAD), SEND, files=None, **RIGHT, **{"leave-3": "yes"})
        assert (page.status, jobs(pipeline)) == (400, 1)
        assert "Every row is left out, so there is nothing to send." in page.text
        assert fields(page)["cell-3-2"] == "Cleo"
        (box,) = page.all("input", name="leave-3")
        assert "checked" in box.attrib

    def test_another_sites_form_and_an_ended_session_do_nothing(
        self, office: Browser, pipeline: Pipeline
    ) -> None:
        page = loaded(office, pipeline, BAD)
        assert office.fill(page, SEND, files=None, **RIGHT | {"form_token": "0" * 64}).status == 403
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("DELETE FROM bulk.office_sessions")
        assert office.fill(page, SEND, files=None, **RIGHT).status == 401
        assert jobs(pipeline) == 1


class TestHostileCells:
    @pytest.mark.parametrize("cell", ["no\u202ebody", "no\0body", "no\x07body", "a\u00a0b", "x" * 5_000])
    def test_what_a_field_cannot_hold_is_kept_unless_it_is_written_anew(
        self, office: Browser, pipeline: Pipeline, cell: str
    ) -> None:
        page = loaded(office, pipeline, GOOD + f"{IDS[2]},{cell},Cleo,admin\n".encode())
        assert fields(page)["cell-3-1"] == ""
        assert not set("\u202e\0\u0007") & set(page.html)
        assert "Leave the field empty to keep that cell" in page.text
        kept = corrected(office, pipeline, page)
        assert cell.encode() in sent_file(pipeline, kept)
        assert state(kept) == "Nothing was loaded: every row was rejected."
        corrected(office, pipeline, page, **{"cell-3-1": "c@example.com"})
        assert FIXED in office.open(page.path).text

    def test_html_is_text(self, office: Browser, pipeline: Pipeline) -> None:
        cell = "\"'><script>alert(1)</script>"
        row = f'{IDS[2]},nobody,"{cell.replace(chr(34), chr(34) * 2)}\n</textarea><b>",admin\n'
        page = loaded(office, pipeline, GOOD + row.encode())
        assert fields(page)["cell-3-2"] == f"{cell}\n</textarea><b>"
        assert page.html.count("<script") == 1
        corrected(office, pipeline, page, **{"cell-3-1": "c@example.com"})
        assert (f"{cell}\n</textarea><b>",) in pipeline.query("SELECT name FROM users")

    def test_a_cell_of_ten_megabytes_is_for_the_file(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD + f"{IDS[3]},{'x' * 10_000_000},Ann,admin\n".encode())
        assert [texts(legend) for legend in page.all("legend")] == ["Row 4"]
        assert len(page.html) < 30_000

    def test_a_form_of_more_than_four_megabytes_is_refused(self, office: Browser, pipeline: Pipeline) -> None:
        page = loaded(office, pipeline, BAD)
        assert office.fill(page, SEND, files=None, **{"cell-3-2": "x" * 900_000}).status == 200
        answers = [
            office.fill(page, SEND, files=None, **{"cell-3-2": size * "x", "cell-3-1": size * "y"})
            for size in (1_500_000, 4_100_000)
        ]
        assert [answer.status for answer in answers] == [413, 413]
        assert jobs(pipeline) == 2
