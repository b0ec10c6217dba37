"""`split` decides about references and keys in the file in file order, and reports every failure."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.schema import ForeignKey, Mode, Table
from bulk_pipeline.stages.split import SplitResult, split
from bulk_pipeline.stages.split import key_claims as claims
from bulk_pipeline.stages.split.key_claims import Stored, nothing_stored
from bulk_pipeline_tests.unit.stages.rows import records

INSERT, UPSERT = Mode.INSERT_ONLY, Mode.UPSERT
CUSTOMERS, USERS, ARTICLES, COMMENTS = map(tables.get, ("customers", "users", "articles", "comments"))
Rows = list[dict[str, str | None]]


class Parents:
    """References with a few existing ids; records the ids that were looked up."""

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)
        self.asked: list[tuple[str, list[str]]] = []

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        ids = values[0].to_pylist()
        self.asked.append((key.table, ids))
        return np.array([id_ not in self.ids for id_ in ids], bool)


def parted(
    table: Table,
    rows: Rows,
    *,
    mode: Mode = INSERT,
    rejected: tuple[int, ...] = (),
    parents: Parents | None = None,
    stored: Stored = nothing_stored,
    size: int = 1_000,
) -> list[SplitResult]:
    batches = [records(rows[start : start + size], start + 1) for start in range(0, len(rows), size)]
    failed = np.array(rejected, np.int64)
    return list(split(lambda: iter(batches), failed, table, mode, parents or Parents(), stored))


def good(parts: list[SplitResult]) -> list[int]:
    return [row for part in parts for row in part.rows["_row"].filter(pa.array(~part.failed)).to_pylist()]


def failures(parts: list[SplitResult], *names: str) -> list[tuple]:
    result = [failure for part in parts for failure in part.failures.to_pylist()]
    return [tuple(failure[name] for name in names or ("row", "column", "code")) for failure in result]


def emails(*values: str) -> Rows:
    return [{"email": value} for value in values]


def people(*keys: str) -> Rows:
    """Return users; `"1a"` has id 1 and email a."""
    return [{"id": key[:-1] or None, "email": key[-1]} for key in keys]


DUPLICATE = "duplicate_in_file"


@pytest.mark.parametrize(
    ("rows", "rejected", "lost"),
    [
        pytest.param(people("1a", "2b"), (), [], id="different keys are all good"),
        pytest.param(people("1a", "2a"), (), [(2, "email", 1)], id="the first row keeps the natural key"),
        pytest.param(people("1a", "1b"), (), [(2, "id", 1)], id="the first row keeps the id"),
        pytest.param(people("1a", "1a"), (), [(2, "id", 1), (2, "email", 1)], id="both are reported"),
        pytest.param(people("1a", "2b", "1b"), (), [(3, "id", 1), (3, "email", 2)], id="of two winners"),
        pytest.param(
            people("1a", "2a", "3a"), (), [(2, "email", 1), (3, "email", 1)], id="one winner for all"
        ),
        pytest.param(people("1a", "2a"), (1,), [], id="a rejected row claims nothing"),
        pytest.param(people("1a", "2a"), (2,), [], id="a rejected row hears of nothing more"),
        pytest.param(people("1a", "1b", "2b"), (), [(2, "id", 1)], id="a loser claims nothing"),
        pytest.param(people("1a", "2a", "1a"), (1,), [(3, "email", 2)], id="the first good row wins"),
        pytest.param(people("a", "b"), (), [], id="no id is not a key"),
        pytest.param(people("a", "a"), (), [(2, "email", 1)], id="without ids the natural key counts"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1_000], ids="batches of {}".format)
def test_a_key_belongs_to_the_first_row_that_claims_it(
    rows: Rows, rejected: tuple[int, ...], lost: list[tuple[int, str, int]], size: int
) -> None:
    parts = parted(USERS, rows, rejected=rejected, size=size)
    assert failures(parts) == [(row, column, DUPLICATE) for row, column, _ in lost]
    assert [int(message.rpartition(" ")[2]) for (message,) in failures(parts, "message")] == [
        winner for *_, winner in lost
    ]
    bad = {row for row, *_ in lost} | set(rejected)
    assert good(parts) == [row for row in range(1, len(rows) + 1) if row not in bad]


def test_the_later_row_names_the_row_with_its_key() -> None:
    (failure,) = parted(CUSTOMERS, emails("ann@example.com", "ann@example.com"))[0].failures.to_pylist()
    assert failure == {
        "row": 2,
        "line": 3,
        "column": "email",
        "code": DUPLICATE,
        "value": "ann@example.com",
        "message": "email 'ann@example.com' was already used in row 1",
    }


def test_keys_are_compared_as_they_are_written() -> None:
    assert good(parted(CUSTOMERS, emails("a@b.cd", "A@b.cd", "a@b.cd "))) == [1, 2, 3]


class InTable:
    """A table with rows of these keys; records the rows that were looked up."""

    def __init__(self, *keys: str) -> None:
        self.keys = {key for row in people(*keys) for key in row.values()}
        self.asked: list[int] = []

    def __call__(self, rows: pa.RecordBatch) -> np.ndarray:
        self.asked += rows["_row"].to_pylist()
        known = [row["_row"] for row in rows.to_pylist() if self.keys & {row["id"], row["email"]}]
        return np.array(known, np.int64)


@pytest.mark.parametrize(
    ("table", "rows", "lost"),
    [
        pytest.param(["1z"], people("1a", "2a"), [], id="by its id"),
        pytest.param(["9a"], people("1a", "1b"), [], id="by its natural key"),
        pytest.param(["1z"], people("1a", "2a", "3a"), [(3, "email", DUPLICATE)], id="the next one claims"),
        pytest.param(["1z"], people("2a", "1a"), [(2, "email", DUPLICATE)], id="which may have lost before"),
        pytest.param(["1z"], people("1a", "1a"), [], id="as often as it comes"),
    ],
)
@pytest.mark.parametrize("size", [1, 1_000], ids="batches of {}".format)
def test_a_row_that_is_in_the_table_claims_nothing(
    table: list[str], rows: Rows, lost: list, size: int
) -> None:
    assert failures(parted(USERS, rows, stored=InTable(*table), size=size)) == lost


def test_only_good_rows_with_repeated_keys_are_looked_up_in_the_table() -> None:
    table = InTable()
    parted(USERS, people("1a", "2b", "3c", "4a", "2d", "5a"), rejected=(4,), stored=table)
    assert table.asked == [1, 2, 5, 6]
    parted(USERS, people("1a", "1a"), mode=UPSERT, stored=table)
    assert table.asked == [1, 2, 5, 6]


def test_an_upsert_may_repeat_keys() -> None:
    assert good(parted(USERS, people("1a", "1a", "2a"), mode=UPSERT)) == [1, 2, 3]


def test_good_rows_are_given_as_they_came() -> None:
    rows = people("1a", "2b")
    (part,) = parted(USERS, rows)
    assert part.rows.equals(records(rows))
    assert not part.failed.any()
    assert part.failures.num_rows == 0


def article(id_: str, slug: str, author: str | None) -> dict[str, str | None]:
    return {"id": id_, "slug": slug, "author_id": author}


@pytest.mark.parametrize("mode", Mode)
def test_a_reference_must_exist(mode: Mode) -> None:
    rows = [article("1", "a", "ann"), article("2", "b", "nobody"), article("3", "c", None)]
    parts = parted(ARTICLES, rows, mode=mode, parents=Parents("ann"))
    assert good(parts) == [1, 3]
    assert failures(parts, "row", "column", "code", "value", "message") == [
        (2, "author_id", "unknown_reference", "nobody", "author_id 'nobody' is not in users")
    ]


def test_every_reference_of_a_row_is_looked_up_also_of_a_rejected_one() -> None:
    rows: Rows = [
        {"id": "1", "article_id": "x", "user_id": "y"},
        {"id": "2", "article_id": None, "user_id": "y"},
    ]
    parts = parted(COMMENTS, rows, rejected=(2,))
    assert failures(parts) == [
        (1, "article_id", "unknown_reference"),
        (1, "user_id", "unknown_reference"),
        (2, "user_id", "unknown_reference"),
    ]


def test_a_row_with_an_unknown_author_does_not_shut_out_a_later_one_with_the_same_slug() -> None:
    rows = [article("1", "a", "nobody"), article("2", "a", "ann"), article("3", "a", "nobody")]
    parts = parted(ARTICLES, rows, parents=Parents("ann"))
    assert good(parts) == [2]
    assert failures(parts) == [
        (1, "author_id", "unknown_reference"),
        (3, "author_id", "unknown_reference"),
    ]


def test_existing_parents_are_looked_up_once() -> None:
    parents = Parents("ann", "bob")
    rows = [
        article(str(n), str(n), author) for n, author in enumerate(["ann", "ann", "bob", "no", "ann", "no"])
    ]
    parts = parted(ARTICLES, rows, parents=parents, size=2)
    assert parents.asked == [("users", ["ann"]), ("users", ["bob", "no"]), ("users", ["no"])]
    assert good(parts) == [1, 2, 3, 5]


def test_a_file_without_a_foreign_key_column_asks_nothing() -> None:
    parents = Parents()
    assert good(parted(ARTICLES, [{"id": "1", "slug": "a"}], mode=UPSERT, parents=parents)) == [1]
    assert parents.asked == []


def test_a_file_without_rows_has_no_parts() -> None:
    assert parted(USERS, []) == []


def test_equal_fingerprints_of_different_keys_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def colliding(cells: pa.Array) -> np.ndarray:
        return np.full(len(cells), 7, np.int64)

    monkeypatch.setattr(claims, "fingerprints", colliding)
    monkeypatch.setattr("bulk_pipeline.stages.split.keys.fingerprints", colliding)
    assert good(parted(CUSTOMERS, emails("a", "b", "a", "b"))) == [1, 2, 4], (
        "b is not known to be taken, but nobody is rejected wrongly: the database refuses row 4"
    )


people_in_any_order = st.lists(
    st.tuples(st.sampled_from(["", "1", "2", "3"]), st.sampled_from("abc"), st.booleans()), max_size=12
)
tables_of_people = st.lists(st.sampled_from(["1a", "2x", "8b", "9y"]), max_size=2, unique=True)


@given(rows=people_in_any_order, table=tables_of_people, size=st.integers(1, 5))
def test_split_decides_like_a_loop_over_the_rows(
    rows: list[tuple[str, str, bool]], table: list[str], size: int
) -> None:
    rejected = tuple(number for number, (*_, bad) in enumerate(rows, 1) if bad)
    file = people(*(id_ + email for id_, email, _ in rows))
    parts = parted(USERS, file, rejected=rejected, stored=InTable(*table), size=size)
    assert failures(parts, "row", "column", "message") == list(_one_by_one(rows, InTable(*table).keys))


def _one_by_one(rows: list[tuple[str, str, bool]], stored: set[str | None]) -> Iterator[tuple[int, str, str]]:
    winners: dict[tuple[str, str], int] = {}
    for number, (id_, email, bad) in enumerate(rows, 1):
        keys = [("id", id_)] * bool(id_) + [("email", email)]
        lost = [key for key in keys if key in winners and not bad]
        for column, value in lost:
            yield number, column, f"{column} '{value}' was already used in row {winners[column, value]}"
        if not lost and not bad and not stored & {value for _, value in keys}:
            winners.update(dict.fromkeys(keys, number))
