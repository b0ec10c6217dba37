"""Rows that lack columns change only the columns they have, one after the other."""

from collections.abc import Callable
from typing import Any

import pytest

from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline_tests.integration.test_load_races import load_while
from bulk_pipeline_tests.rigs.loading import OLD, Loading, Row, counts, uid


class Died(Exception):
    """The worker died between two batches."""


def user(number: int, **more: Any) -> Row:
    return {"id": uid(number), "email": f"{number}@x", "name": "Old", "role": "reader", **more}


@pytest.fixture
def users(database_url: str) -> Loading:
    loading = Loading(database_url, "users", Mode.UPSERT, keys_matter=True)
    loading.have(user(1, active=False), user(2, active=False))
    return loading


def content(loading: Loading) -> list[tuple]:
    """Return the table without generated ids."""
    known = {uid(number): number for number in range(1, 10)}
    result = loading.content("id", "email", "name", "role", "active")
    return [(known.get(id_), *rest) for id_, *rest in result]


FIRST, SECOND = (1, "1@x", "Old", "reader", False), (2, "2@x", "Old", "reader", False)
NEW = {"email": "n@x", "name": "N", "role": "admin"}


@pytest.mark.parametrize(
    ("file", "expected", "after"),
    [
        pytest.param(
            [{"email": "1@x", "name": "A"}, {"email": "1@x", "role": "admin"}],
            "1 superseded, 1 updated",
            [(1, "1@x", "A", "admin", False), SECOND],
            id="by natural key",
        ),
        pytest.param(
            [{"id": uid(1), "name": "A"}, {"email": "1@x", "role": "admin"}],
            "1 superseded, 1 updated",
            [(1, "1@x", "A", "admin", False), SECOND],
            id="by id, then by natural key",
        ),
        pytest.param(
            [{"email": "1@x", "name": "A"}, {"id": uid(1), "role": "admin"}],
            "1 superseded, 1 updated",
            [(1, "1@x", "A", "admin", False), SECOND],
            id="by natural key, then by id",
        ),
        pytest.param(
            [{"email": "1@x", "name": "A"}, {"email": "1@x", "name": "Old", "active": None}],
            "1 superseded, 1 unchanged",
            [FIRST, SECOND],
            id="there and back",
        ),
        pytest.param(
            [{"email": "1@x"}, {"id": uid(2)}], "2 unchanged", [FIRST, SECOND], id="nothing is said"
        ),
        pytest.param(
            [NEW, {"email": "n@x", "name": "M"}, {"email": "n@x", "active": False}],
            "2 superseded, 1 inserted",
            [FIRST, SECOND, (None, "n@x", "M", "admin", False)],
            id="a row of the file",
        ),
        pytest.param(
            [{"email": "n@x", "name": "M"}, NEW, {"email": "n@x", "role": "editor"}],
            "1 rejected, 1 superseded, 1 inserted",
            [FIRST, SECOND, (None, "n@x", "N", "editor", True)],
            id="a refused row leaves nothing behind",
        ),
        pytest.param(
            [{"email": "n@x", "name": "M"}, {"email": "n@x", "role": "admin"}],
            "2 rejected",
            [FIRST, SECOND],
            id="two halves are no new row",
        ),
        pytest.param(
            [{"email": "n@x", "name": "M"}] * 2,
            "2 rejected",
            [FIRST, SECOND],
            id="nor is the same half twice",
        ),
        pytest.param(
            [{"id": uid(1), "email": "n@x"}, {"id": uid(1), "name": "A"}, {"email": "1@x", "name": "B"}],
            "1 superseded, 1 updated, 1 rejected",
            [(1, "n@x", "A", "reader", False), SECOND],
            id="a renamed row keeps its new key",
        ),
        pytest.param(
            [{"id": uid(1), "email": "n@x"}, NEW | {"email": "1@x"}, {"id": uid(1), "active": True}],
            "1 superseded, 1 updated, 1 inserted",
            [(1, "n@x", "Old", "reader", True), SECOND, (None, "1@x", "N", "admin", True)],
            id="a freed key is somebody else's",
        ),
        pytest.param(
            [{"id": uid(3), "name": "X"}, {"id": uid(3), **NEW}, {"id": uid(3), "role": "editor"}],
            "1 rejected, 1 superseded, 1 inserted",
            [FIRST, SECOND, (3, "n@x", "N", "editor", True)],
            id="a new row by id",
        ),
    ],
)
def test_each_row_changes_what_it_has(
    users: Loading, file: list[Row], expected: str, after: list[tuple]
) -> None:
    for batch_rows in (1, 100):
        users.execute("TRUNCATE users CASCADE")
        users.have(user(1, active=False), user(2, active=False))
        job = users.anew(batch_rows=batch_rows)
        assert job.load(*file) == counts(expected)
        assert sorted(content(job), key=repr) == sorted(after, key=repr)
        assert {code for *_, code in job.failures()} <= {"required"}


def test_a_row_that_says_nothing_new_is_not_touched(users: Loading) -> None:
    before = users.execute("SELECT xmin::text, ctid::text FROM users ORDER BY id")
    file = [{"email": "1@x", "active": None, "created_at": None}, {"id": uid(2), "name": "Old"}]
    assert users.load(*file) == counts("2 unchanged")
    assert users.execute("SELECT xmin::text, ctid::text FROM users ORDER BY id") == before


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_resumed_load_ends_like_an_uninterrupted_one(
    users: Loading, batches: int, connections: int
) -> None:
    file: list[Row] = [
        {"email": "n@x", "name": "early"},
        NEW,
        {"email": "1@x", "name": "A"},
        {"id": uid(2), "role": "editor"},
        {"email": "lost@x"},
        {"email": "1@x", "role": "editor", "created_at": OLD},
        {"email": "2@x", "active": True},
        {"email": "n@x", "active": False},
        {"email": "lost@x"},
    ]
    job = users.anew(batch_rows=2, connections=connections).start()
    with pytest.raises(Died):
        job.load(*file, progress=_dying_after(2 * batches))
    job = job.take_over()
    assert job.load(*file) == counts("1 inserted, 2 updated, 3 superseded, 3 rejected")
    assert content(job) == [
        (1, "1@x", "A", "editor", False),
        (2, "2@x", "Old", "editor", True),
        (None, "n@x", "N", "admin", False),
    ]
    assert job.failures("row", "column") == [
        (1, "role"), (5, "name"), (5, "role"), (9, "name"), (9, "role"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("meanwhile", "file", "expected", "after"),
    [
        pytest.param(
            "DELETE FROM users WHERE email = '1@x'",
            [{"email": "1@x", "name": "A"}, {"email": "2@x", "name": "B"}],
            "1 rejected, 1 updated",
            [(2, "2@x", "B", "reader", False)],
            id="the row it changes is removed",
        ),
        pytest.param(
            f"INSERT INTO users (id, email, name, role, active) VALUES ('{uid(5)}', 'n@x', 'I', 'editor', false)",
            [{**NEW, "created_at": OLD}, {"email": "2@x", "name": "B"}, {"email": "n@x", "name": "L"}],
            "2 updated, 1 superseded",
            [FIRST, (2, "2@x", "B", "reader", False), (5, "n@x", "L", "admin", False)],
            id="a new row is there by now",
        ),
    ],
)
def test_a_table_that_changes_meanwhile(
    users: Loading, meanwhile: str, file: list[Row], expected: str, after: list[tuple]
) -> None:
    assert load_while(users, lambda: users.execute(meanwhile), *file) == counts(expected)
    assert content(users) == after


def _dying_after(rows: int) -> Callable[[LoadCounts], None]:
    def progress(so_far: LoadCounts) -> None:
        if so_far.processed >= rows:
            raise Died

    return progress
