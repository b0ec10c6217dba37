"""Loading in `insert_only` leaves stored rows unchanged."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from bulk_pipeline.schema import Mode
from bulk_pipeline_tests.rigs.loading import OLD, Loading, counts, uid


def person(number: int, email: str, name: str = "Ann") -> dict[str, object]:
    return {"id": uid(number), "email": email, "name": name, "role": "admin", "active": True}


@pytest.fixture
def customers(each_database_url: str) -> Loading:
    return Loading(each_database_url)


@pytest.fixture
def users(each_database_url: str) -> Loading:
    return Loading(each_database_url, "users")


def test_new_rows_are_inserted_with_ids_in_the_order_of_their_keys(customers: Loading) -> None:
    assert customers.load({"email": "b@c.de"}, {"email": "a@b.cd"}) == counts("2 inserted")
    (first, a), (second, b) = sorted(customers.content("id", "email"))
    assert (a, b) == ("a@b.cd", "b@c.de")
    assert first[14] == second[14] == "7"


def test_ids_of_the_file_are_kept_and_missing_ones_generated(customers: Loading) -> None:
    rows = {"id": uid(1), "email": "a@b.cd"}, {"id": None, "email": "b@c.de"}
    assert customers.load(*rows) == counts("2 inserted")
    assert customers.row(email="a@b.cd")["id"] == UUID(uid(1))
    assert customers.row(email="b@c.de")["id"] is not None


def test_every_kind_of_cell_arrives_as_it_was(each_database_url: str) -> None:
    Loading(each_database_url, "users").load(person(9, "a@b.cd"))
    articles = Loading(each_database_url, "articles")
    texts = ["", 'say "hi"', "a,b", "line\nbreak\r\n", "\\.", "a\n\\.\nb", "\\N", "NULL", " ü 😀\t", "{}"]
    lists = [None, [], [""], ['"', "\\", ",", "{", "NULL", " "], ["a", None], ["ü\n"]]
    published = datetime(1999, 12, 31, 23, 59, 59, 123456, tzinfo=UTC)
    rows = [
        {
            "id": uid(number),
            "slug": f"s-{number}",
            "title": text or "-",
            "body": text,
            "author_id": uid(9),
            "tags": lists[number % len(lists)],
            "published_at": published if number % 2 else None,
            "status": "draft",
        }
        for number, text in enumerate(texts)
    ]
    assert articles.load(*rows) == counts("10 inserted")
    names = ("id", "slug", "title", "body", "author_id", "tags", "published_at", "status")
    assert sorted(articles.content(*names)) == sorted(tuple(row[name] for name in names) for row in rows)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        pytest.param(person(1, "z@z.zz"), "id", id="the id"),
        pytest.param(person(2, "a@b.cd"), "email", id="the natural key"),
        pytest.param(person(1, "a@b.cd"), "email", id="both, of which people know the natural key"),
    ],
)
def test_a_key_that_is_in_the_table_rejects_the_row(users: Loading, row: dict, column: str) -> None:
    users.have(person(1, "a@b.cd", "Old"))
    assert users.load(row, person(3, "c@d.ef")) == counts("1 inserted, 1 rejected")
    assert users.failures("row", "line", "column", "code", "value", "message") == [
        (1, 2, column, "already_exists", row[column], f"{column} '{row[column]}' is already in users")
    ]
    assert users.row(id=uid(1))["name"] == "Old"
    assert users.row(id=uid(1))["updated_at"] == OLD


def test_a_file_that_is_in_already_is_rejected_row_by_row(customers: Loading) -> None:
    rows = [{"email": f"{number}@b.cd"} for number in range(10)]
    assert customers.load(*rows) == counts("10 inserted")
    again = Loading(customers.database_url, batch_rows=3)
    assert again.load(*rows) == counts("10 rejected")
    assert again.failures() == [(number, "email", "already_exists") for number in range(1, 11)]


def test_comments_are_known_by_their_id_alone(each_database_url: str) -> None:
    Loading(each_database_url, "users").load(person(1, "a@b.cd"))
    article = {"id": uid(2), "slug": "s", "title": "t", "body": "b", "author_id": uid(1), "status": "draft"}
    Loading(each_database_url, "articles").load(article)
    comments = Loading(each_database_url, "comments")
    rows = [
        {"id": uid(number), "article_id": uid(2), "user_id": uid(1), "body": "Hm."} for number in (5, 4, 3)
    ]
    assert comments.load(*rows[:2]) == counts("2 inserted")
    again = Loading(each_database_url, "comments")
    assert again.load(*rows) == counts("1 inserted, 2 rejected")
    assert again.failures() == [(1, "id", "already_exists"), (2, "id", "already_exists")]


def test_the_database_generates_values_that_the_file_lacks(customers: Loading) -> None:
    rows = {"email": "a@b.cd", "created_at": OLD}, {"email": "b@c.de", "created_at": None}
    assert customers.load(*rows) == counts("2 inserted")
    (before,) = customers.execute("SELECT now() - interval '1 minute'")[0]
    assert customers.row(email="a@b.cd")["created_at"] == OLD
    assert customers.row(email="b@c.de")["created_at"] > before
    assert customers.row(email="a@b.cd")["updated_at"] > before


def test_a_column_the_file_does_not_have_gets_its_default(users: Loading) -> None:
    row = {name: value for name, value in person(1, "a@b.cd").items() if name != "active"}
    assert users.load(row) == counts("1 inserted")
    assert users.row(id=uid(1))["active"] is True


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 7, 100])
def test_every_range_is_in_the_ledger_once_whatever_its_rows(customers: Loading, batch_rows: int) -> None:
    job = Loading(customers.database_url, batch_rows=batch_rows)
    rows = [None, None, {"email": "a@b.cd"}, None, {"email": "b@c.de"}, {"email": "c@d.ef"}, None]
    seen = []
    assert job.load(*rows, progress=seen.append) == counts("3 inserted, 4 rejected")
    ranges = [(first, last) for first, last, *_ in job.batches_in()]
    assert ranges == [(first, min(first + batch_rows - 1, 7)) for first in range(1, 8, batch_rows)]
    assert [so_far.processed for so_far in seen] == [last for _, last in ranges]
    assert seen[-1] == counts("3 inserted, 4 rejected")


@pytest.mark.parametrize("rows", [(), (None, None)], ids=["no rows", "rejected rows only"])
@pytest.mark.parametrize("mode", Mode)
def test_a_file_without_good_rows_loads_nothing(customers: Loading, rows: tuple, mode: Mode) -> None:
    customers.have({"email": "a@b.cd"})
    job = Loading(customers.database_url, mode=mode)
    assert job.load(*rows) == counts(f"{len(rows)} rejected")
    assert len(job.batches_in()) == min(len(rows), 1)
