"""Keys and counts in both modes, from the file to the table, on every version of Postgres."""

import json
from collections.abc import Iterator
from uuid import UUID

import dagster as dg
import pytest
from pydantic import SecretStr

from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.examples import Cells, csv, have_parents, row, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline


@pytest.fixture
def each_pipeline(
    settings: Settings, each_database_url: str, instance: dg.DagsterInstance
) -> Iterator[Pipeline]:
    stores = Stores(settings.model_copy(update={"database_url": SecretStr(each_database_url)}))
    yield Pipeline(stores, instance)
    stores.close()


def failures(pipeline: Pipeline, job: ImportJob) -> list[tuple[int, str, str]]:
    """Return row, code and message of each failure."""
    failures_ = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    return [(failure["row"], failure["code"], failure["message"]) for failure in failures_]


def test_insert_only_keeps_what_is_there_and_what_came_first(each_pipeline: Pipeline) -> None:
    have_parents(each_pipeline)
    nobody = uid(999)
    rows = [
        row("articles", 2),
        row("articles", 3, {"slug": "a-2"}),
        row("articles", 2, {"slug": "a-4"}),
        row("articles", 5, {"slug": "a-1"}),
        row("articles", 1, {"slug": "a-6"}),
        row("articles", 7, {"slug": "late", "author_id": nobody}),
        row("articles", 8, {"slug": "late"}),
        row("articles", 9, {"slug": "late", "author_id": nobody}),
        row("articles", 9, {"title": ""}),
        row("articles", 9),
    ]
    job = each_pipeline.load("articles/a.csv", csv(rows))
    assert each_pipeline.counts(job) == Counts(total=10, inserted=3, rejected=7)
    assert failures(each_pipeline, job) == [
        (2, "duplicate_in_file", "slug 'a-2' was already used in row 1"),
        (3, "duplicate_in_file", f"id '{uid(2)}' was already used in row 1"),
        (4, "already_exists", "slug 'a-1' is already in articles"),
        (5, "already_exists", f"id '{uid(1)}' is already in articles"),
        (6, "unknown_reference", f"author_id '{nobody}' is not in users"),
        (8, "unknown_reference", f"author_id '{nobody}' is not in users"),
        (9, "required", "title is required, but the cell is empty"),
    ]
    assert each_pipeline.query("SELECT slug FROM articles ORDER BY slug") == [
        ("a-1",),
        ("a-2",),
        ("a-9",),
        ("late",),
    ]


def test_upsert_applies_one_row_after_the_other(each_pipeline: Pipeline) -> None:
    before = [
        row("customers", number, {"first_name": "Old", "city": "Rome", "phone": "1"}) for number in (1, 2, 3)
    ]
    each_pipeline.load("customers/before.csv", csv(before))
    file: list[Cells] = [
        {"id": id_, "email": email, "first_name": name, "phone": phone, "updated_at": "2001-01-01"}
        for id_, email, name, phone in [
            ("", "u3@x.co", "Old", "1"),
            ("", "u1@x.co", "First", "2"),
            (uid(1), "u1@x.co", "Last", ""),
            ("", "new@x.co", "First", ""),
            (uid(7), "foo@bar", "Bad", ""),
            (uid(1), "u2@x.co", "Both", ""),
            ("", "new@x.co", "Last", "2"),
        ]
    ]
    job = each_pipeline.load("customers/a.csv", csv(file), mode="upsert")
    assert each_pipeline.counts(job) == Counts(
        total=7, inserted=1, updated=1, unchanged=1, superseded=2, rejected=2
    )
    assert failures(each_pipeline, job) == [
        (5, "bad_format", "email 'foo@bar' is not an address like local@domain.tld"),
        (6, "key_conflict", f"id '{uid(1)}' and email 'u2@x.co' point at two different rows"),
    ]
    assert each_pipeline.query("SELECT email, first_name, phone, city FROM customers ORDER BY email") == [
        ("new@x.co", "Last", "2", None),
        ("u1@x.co", "Last", None, "Rome"),
        ("u2@x.co", "Old", "1", "Rome"),
        ("u3@x.co", "Old", "1", "Rome"),
    ]
    dated = each_pipeline.query("SELECT email FROM customers WHERE updated_at = '2001-01-01Z' ORDER BY email")
    assert dated == [("new@x.co",), ("u1@x.co",)], "updated_at alone changes nothing"


@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
def test_customers_without_ids_get_some_that_sort_by_time(pipeline: Pipeline, mode: str) -> None:
    rows = [row("customers", number, {"id": ""}) for number in range(1, 6)]
    without = [{name: cell for name, cell in cells.items() if name != "id"} for cells in rows]
    first = pipeline.load("customers/a.csv", csv(rows[:3]), mode=mode)
    second = pipeline.load("customers/b.csv", csv(without[3:]), mode=mode)
    assert [pipeline.counts(job).inserted for job in (first, second)] == [3, 2]
    failures_ = pipeline.query("SELECT id, email FROM customers ORDER BY id")
    assert [email for _, email in failures_] == [cells["email"] for cells in rows]
    assert {id_.version for id_, _ in failures_} == {7}


IDS_MISSING = "required column id missing"


def test_which_files_need_ids(pipeline: Pipeline) -> None:
    have_parents(pipeline)
    expected = {
        "customers/insert_only/a.csv": None,
        "customers/upsert/b.csv": None,
        "users/insert_only/a.csv": IDS_MISSING,
        "users/upsert/a.csv": None,
        "articles/insert_only/a.csv": IDS_MISSING,
        "articles/upsert/a.csv": None,
        "comments/insert_only/a.csv": IDS_MISSING,
        "comments/upsert/a.csv": IDS_MISSING,
    }
    for number, key in enumerate(expected, 2):
        cells = row(key.partition("/")[0], number)
        pipeline.drop(key, csv([{name: cell for name, cell in cells.items() if name != "id"}]))
    pipeline.work_off()
    errors = {key: pipeline.job(key).error for key in expected}
    assert {key: error and error.partition(":")[0] for key, error in errors.items()} == expected


def test_an_id_of_a_comment_is_the_same_with_and_without_its_prefix(pipeline: Pipeline) -> None:
    have_parents(pipeline)
    rows = [
        row("comments", 2, {"id": id_, "body": body})
        for id_, body in [
            (f"cm_{uid(2)}", "one"),
            (uid(2), "two"),
            (f"cm_{uid(3)}", "three"),
        ]
    ]
    job = pipeline.load("comments/a.csv", csv(rows))
    assert pipeline.counts(job) == Counts(total=3, inserted=2, rejected=1)
    job = pipeline.load("comments/upsert/a.csv", csv(rows))
    assert pipeline.counts(job) == Counts(total=3, updated=1, unchanged=1, superseded=1)
    assert pipeline.query("SELECT id, body FROM comments ORDER BY id") == [
        (UUID(uid(2)), "two"),
        (UUID(uid(3)), "three"),
    ]


@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
def test_addresses_are_compared_as_they_are_written(pipeline: Pipeline, mode: str) -> None:
    rows = [
        row("customers", number, {"email": email}) for number, email in enumerate(["a@x.co", "A@x.co"], 1)
    ]
    job = pipeline.load("customers/a.csv", csv(rows), mode=mode)
    assert pipeline.counts(job) == Counts(total=2, inserted=2)


def test_a_value_the_file_gives_is_kept_and_a_missing_one_is_made(pipeline: Pipeline) -> None:
    rows = [row("users", 1, {"created_at": "2001-01-01", "active": "no"}), row("users", 2, {"active": ""})]
    pipeline.load("users/a.csv", csv(rows))
    assert pipeline.query(
        "SELECT active, created_at = '2001-01-01Z', now() - created_at < '1 hour', now() - updated_at < '1 hour' "
        "FROM users ORDER BY email"
    ) == [(False, True, False, True), (True, False, True, True)]
