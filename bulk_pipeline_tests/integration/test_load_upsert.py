"""The result of `upsert` is as if the rows were applied one after the other."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bulk_pipeline.schema import Mode
from bulk_pipeline_tests.rigs.loading import OLD, Loading, Row, counts, uid

LATER = datetime(2026, 1, 1, tzinfo=UTC)


def customer(key: str, name: str | None = "New", **more: Any) -> Row:
    """Return a customer with id 1 and email a for `"1a"`, without id for `"a"`."""
    return {"id": uid(int(key[:-1])) if key[:-1] else None, "email": key[-1], "first_name": name, **more}


@pytest.fixture
def customers(database_url: str) -> Loading:
    return Loading(database_url, mode=Mode.UPSERT)


def stored(loading: Loading) -> list[str]:
    """Return stored rows as `"1a Ann"`, with `?` for a generated id."""
    rows = loading.content("id", "email", "first_name")
    ids = {uid(number): str(number) for number in range(1, 10)}
    return sorted(f"{ids.get(id_, '?')}{email} {name}" for id_, email, name in rows)


TABLE = ("1a Old", "2b Old")


@pytest.mark.parametrize(
    ("file", "expected", "after"),
    [
        pytest.param(["c New"], "1 inserted", ["1a Old", "2b Old", "?c New"], id="new"),
        pytest.param(["3c New"], "1 inserted", ["1a Old", "2b Old", "3c New"], id="new with an id"),
        pytest.param(["a New"], "1 updated", ["1a New", "2b Old"], id="by natural key"),
        pytest.param(["1a New"], "1 updated", ["1a New", "2b Old"], id="by id"),
        pytest.param(["1c New"], "1 updated", ["1c New", "2b Old"], id="an id gets another natural key"),
        pytest.param(["1c Old"], "1 updated", ["1c Old", "2b Old"], id="only another natural key"),
        pytest.param(["a Old"], "1 unchanged", ["1a Old", "2b Old"], id="as it is"),
        pytest.param(["1a Old"], "1 unchanged", ["1a Old", "2b Old"], id="as it is, by id"),
        pytest.param(["1b New"], "1 rejected", ["1a Old", "2b Old"], id="two rows of the table"),
        pytest.param(["3b New"], "1 rejected", ["1a Old", "2b Old"], id="a new id, a known natural key"),
        pytest.param(["3c X", "4c Y"], "1 inserted, 1 rejected", [*TABLE, "3c X"], id="two rows of the file"),
        pytest.param(["c X", "3c Y"], "1 inserted, 1 rejected", [*TABLE, "?c X"], id="one has an id by now"),
        pytest.param(
            ["3c X", "c Y"], "1 superseded, 1 inserted", [*TABLE, "3c Y"], id="known by its key now"
        ),
        pytest.param(["c X", "c Y"], "1 superseded, 1 inserted", [*TABLE, "?c Y"], id="the last one wins"),
        pytest.param(["a X", "a Y"], "1 superseded, 1 updated", ["1a Y", "2b Old"], id="in the table too"),
        pytest.param(["a X", "a Old"], "1 superseded, 1 unchanged", list(TABLE), id="there and back"),
        pytest.param(["1a X", "1a Y"], "1 superseded, 1 updated", ["1a Y", "2b Old"], id="by id too"),
        pytest.param(["1a X", "a Y"], "1 superseded, 1 updated", ["1a Y", "2b Old"], id="by id, then by key"),
        pytest.param(["a X", "1a Y"], "1 superseded, 1 updated", ["1a Y", "2b Old"], id="by key, then by id"),
        pytest.param(["3c X", "3d Y"], "1 superseded, 1 inserted", [*TABLE, "3d Y"], id="a new row renamed"),
        pytest.param(["1c X", "a Y"], "1 updated, 1 inserted", ["1c X", "2b Old", "?a Y"], id="a key freed"),
        pytest.param(["a Y", "1c X"], "1 superseded, 1 updated", ["1c X", "2b Old"], id="not yet freed"),
        pytest.param(["1c X", "c Y"], "1 superseded, 1 updated", ["1c Y", "2b Old"], id="its new key"),
        pytest.param(["1b X", "2c Y"], "1 rejected, 1 updated", ["1a Old", "2c Y"], id="too early"),
        pytest.param(["2c Y", "1b X"], "2 updated", ["1b X", "2c Y"], id="a chain of natural keys"),
        pytest.param(["1b X", "2a Y"], "2 rejected", list(TABLE), id="a swap has to go by a third key"),
        pytest.param(["1c X", "2a Y", "1b Z"], "1 superseded, 2 updated", ["1b Z", "2a Y"], id="a swap"),
        pytest.param(
            ["1c X", "a Y", "1d Z"], "1 superseded, 1 inserted, 1 updated", ["1d Z", "2b Old", "?a Y"]
        ),
        pytest.param(["1c X", "1a Old"], "1 superseded, 1 unchanged", list(TABLE), id="renamed and back"),
        pytest.param(
            ["3b X", "2c Y", "3b Z"], "1 rejected, 1 updated, 1 inserted", ["1a Old", "2c Y", "3b Z"]
        ),
        pytest.param(["3b X", "3b Z"], "2 rejected", list(TABLE), id="the same conflict twice"),
    ],
)
def test_rows_are_applied_one_after_the_other(
    customers: Loading, file: list[str], expected: str, after: list[str]
) -> None:
    rows = [customer(*line.split()) for line in file]
    for batch_rows in (1, 2, 100):
        customers.execute("TRUNCATE customers")
        customers.have(*(customer(*line.split()) for line in TABLE))
        job = customers.anew(batch_rows=batch_rows)
        assert job.load(*rows) == counts(expected)
        assert stored(job) == sorted(after)
        assert [code for *_, code in job.failures()] == ["key_conflict"] * counts(expected).rejected
        assert job.load(*rows) == counts(expected), "a second call has nothing to do"


def test_a_conflict_names_both_keys(customers: Loading) -> None:
    customers.have(customer("1a"), customer("2b"))
    assert customers.load(customer("1b")) == counts("1 rejected")
    assert customers.failures("row", "line", "column", "code", "value", "message") == [
        (1, 2, "email", "key_conflict", "b", f"id '{uid(1)}' and email 'b' point at two different rows")
    ]


def test_unchanged_rows_are_not_written(customers: Loading) -> None:
    customers.have(customer("1a", "Old"))
    before = customers.execute("SELECT xmin::text, ctid::text FROM customers")
    given = customer("a", "Old", updated_at=LATER, created_at=None)
    assert customers.load(given) == counts("1 unchanged")
    assert customers.execute("SELECT xmin::text, ctid::text FROM customers") == before


def test_null_sets_null_and_a_missing_column_is_left(customers: Loading) -> None:
    customers.have(customer("1a", "Old", last_name="Kept", phone="1"))
    assert customers.load({"email": "a", "first_name": None, "phone": ""}) == counts("1 updated")
    row = customers.row(email="a")
    assert (row["first_name"], row["last_name"], row["phone"]) == (None, "Kept", "")


@pytest.mark.parametrize(
    ("times", "created_at", "is_now"),
    [
        pytest.param({}, OLD, True, id="a change is dated"),
        pytest.param(
            {"created_at": None, "updated_at": None}, OLD, True, id="NULL leaves it to the database"
        ),
        pytest.param({"created_at": LATER, "updated_at": LATER}, LATER, False, id="the file may say when"),
    ],
)
def test_the_times_of_a_changed_row(
    customers: Loading, times: Row, created_at: datetime, is_now: bool
) -> None:
    customers.have(customer("1a", "Old"))
    assert customers.load(customer("a", **times)) == counts("1 updated")
    row = customers.row(email="a")
    assert row["created_at"] == created_at
    assert (row["updated_at"] not in (OLD, LATER)) is is_now


def test_another_time_of_making_is_a_change(customers: Loading) -> None:
    customers.have(customer("1a", "Old"))
    assert customers.load(customer("a", "Old", created_at=LATER)) == counts("1 updated")


@pytest.mark.parametrize("key", ["a", "1a"], ids=["a new row", "a row of the table"])
def test_the_time_an_overwritten_row_brings_is_kept(customers: Loading, key: str) -> None:
    customers.have(customer("1b", "Old"))
    rows = customer(key, "X", created_at=LATER), customer(key, "Y", created_at=None)
    assert customers.load(*rows).superseded == 1
    assert customers.row(email="a")["created_at"] == LATER


def test_without_an_id_column_the_natural_key_decides(customers: Loading) -> None:
    customers.have(customer("1a", "Old"))
    rows = [{"email": "a", "first_name": "X"}, {"email": "c", "first_name": "Y"}] * 2
    assert customers.load(*rows) == counts("2 superseded, 1 updated, 1 inserted")
    assert stored(customers) == ["1a X", "?c Y"]


def test_comments_are_known_by_their_id_alone(database_url: str) -> None:
    person = {"id": uid(1), "email": "a", "name": "A", "role": "admin"}
    article = {"id": uid(2), "slug": "s", "title": "t", "body": "b", "author_id": uid(1), "status": "draft"}
    Loading(database_url, "users").have(person)
    Loading(database_url, "articles").have(article)

    def comment(number: int, body: str) -> Row:
        return {"id": uid(number), "article_id": uid(2), "user_id": uid(1), "body": body}

    comments = Loading(database_url, "comments", Mode.UPSERT)
    comments.have(comment(3, "Old"), comment(4, "Old"))
    file = [comment(3, "New"), comment(4, "Old"), comment(5, "X"), comment(5, "Y")]
    assert comments.load(*file) == counts("1 updated, 1 unchanged, 1 superseded, 1 inserted")
    assert comments.content("id", "body") == [(uid(3), "New"), (uid(4), "Old"), (uid(5), "Y")]


def test_arrays_are_compared_by_their_elements(database_url: str) -> None:
    Loading(database_url, "users").have({"id": uid(1), "email": "a", "name": "A", "role": "admin"})
    articles = Loading(database_url, "articles", Mode.UPSERT)
    made = {"title": "t", "body": "b", "author_id": uid(1), "status": "draft"}
    articles.have({"slug": "s", "tags": ["a", None], **made}, {"slug": "r", "tags": [], **made})
    file: list[Row] = [{"slug": "s", "tags": ["a", None], **made}, {"slug": "r", "tags": None, **made}]
    assert articles.load(*file) == counts("1 unchanged, 1 updated")


@pytest.mark.parametrize("rows", [1, 30])
def test_an_upsert_into_an_empty_table_inserts(customers: Loading, rows: int) -> None:
    file = [customer("c"), customer("3d"), customer("c", "Last"), customer("4d")] * rows
    outcome = customers.load(*file)
    assert (outcome.inserted, outcome.rejected) == (2, rows)
    assert stored(customers) == ["3d New", "?c Last"]
