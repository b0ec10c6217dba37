"""Rows of an upsert that a later row supersedes, which the database then refuses: they are not lost."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.schema import Column, Mode, Table
from bulk_pipeline_tests.integration.test_load_model import Died, dying_after
from bulk_pipeline_tests.rigs.databases import Databases
from bulk_pipeline_tests.rigs.dying_import import breaking
from bulk_pipeline_tests.rigs.loading import Loading, Row, counts

CREATE = """
    CREATE TABLE public.goods (
        no text PRIMARY KEY, code text UNIQUE, name text, city text, CHECK (name <> 'refused')
    );
    CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER drops BEFORE INSERT OR UPDATE ON public.goods
        FOR EACH ROW WHEN (NEW.name = 'dropped') EXECUTE FUNCTION drop_row()
"""
GOODS = Table(
    name="goods",
    columns=tuple(Column(name=name) for name in ("no", "code", "name", "city")),
    primary_key=("no",),
    unique_keys=(("code",),),
)


@pytest.fixture(scope="module")
def goods(databases: Databases) -> Iterator[Loading]:
    with databases.migrated() as url:
        with psycopg.connect(url) as connection:
            connection.execute(CREATE.encode())
        yield Loading(url, GOODS, Mode.UPSERT, keys_matter=True)


def row(no: str | None, name: str = "", code: str = "", city: str = "") -> Row:
    """A row that has only the columns with a value."""
    return {
        column: cell for column, cell in (("no", no), ("name", name), ("code", code), ("city", city)) if cell
    }


@pytest.mark.parametrize("batch_rows", [1, 2, 10])
@pytest.mark.parametrize("bad", ["refused", "dropped"])
@pytest.mark.parametrize(
    ("file", "expected", "after"),
    [
        pytest.param(
            [row("1", "good"), row("1", "bad")],
            "1 inserted, 1 rejected",
            [("1", None, "good", None)],
            id="a new row",
        ),
        pytest.param(
            [row("9", "good"), row("9", "bad")],
            "1 updated, 1 rejected",
            [("9", "z", "good", "Rome")],
            id="a stored row",
        ),
        pytest.param(
            [row("1", "first"), row("1", "good"), row("2", "other"), row("1", "bad"), row("1", "bad")],
            "2 inserted, 1 superseded, 2 rejected",
            [("1", None, "good", None), ("2", None, "other", None)],
            id="after several",
        ),
        pytest.param(
            [row("1", "good"), row("1", city="Ulm"), row("1", "bad")],
            "1 inserted, 1 superseded, 1 rejected",
            [("1", None, "good", "Ulm")],
            id="with the cells that it carries",
        ),
        pytest.param(
            [row("1", "good", "a"), row(None, "good", "a", "Ulm"), row("1", "bad", "b")],
            "1 inserted, 1 superseded, 1 rejected",
            [("1", "a", "good", "Ulm")],
            id="by another key",
        ),
        pytest.param([row("1", "bad"), row("1", "bad")], "2 rejected", [], id="all are refused"),
    ],
)
def test_the_row_before_a_refused_one_is_written(
    goods: Loading, batch_rows: int, bad: str, file: list[Row], expected: str, after: list[tuple]
) -> None:
    job = goods.anew(batch_rows=batch_rows)
    job.execute("TRUNCATE goods")
    job.have({"no": "9", "code": "z", "name": "old", "city": "Rome"})
    file = [{**one, "name": bad} if one.get("name") == "bad" else one for one in file]
    assert job.load(*file) == counts(expected)
    refused = [(number, "constraint") for number, one in enumerate(file, 1) if one.get("name") == bad]
    assert job.failures("row", "code") == refused
    untouched = [("9", "z", "old", "Rome")] if "9" not in dict.fromkeys(r[0] for r in after) else []
    assert job.content("no", "code", "name", "city") == after + untouched


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_row_is_written_once_even_if_the_run_dies_then(
    goods: Loading, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    job = goods.anew(batch_rows=2)
    job.execute("TRUNCATE goods")
    file = [row("1", "good"), row("2", "good"), row("1", "refused"), row("2", "refused")]
    with monkeypatch.context() as patch:
        patch.setattr(
            PostgresRowStore, "settle_again", breaking(PostgresRowStore.settle_again, 1, is_done, Died())
        )
        with pytest.raises(Died):
            job.load(*file)
    job = job.take_over()
    assert job.load(*file) == counts("2 inserted, 2 rejected")
    assert job.batches_in() == [(1, 2, 1, 2, 0, 0, 0, 0), (3, 4, 1, 0, 0, 0, 0, 2)]
    assert job.content("no", "name") == [("1", "good"), ("2", "good")]


lines = st.tuples(st.sampled_from("123"), st.sampled_from(["good", "better", "refused", "dropped"]))


@settings(max_examples=60, deadline=None)
@given(
    file=st.lists(lines, max_size=9),
    batch_rows=st.integers(1, 9),
    dies_after=st.lists(st.integers(0, 3), max_size=1),
)
def test_the_last_row_that_the_database_takes_wins(
    goods: Loading, file: list[tuple[str, str]], batch_rows: int, dies_after: list[int]
) -> None:
    expected, refused = dict[str, str](), list[int]()
    for number, (no, name) in reversed([*enumerate(file, 1)]):
        if no not in expected and name in ("refused", "dropped"):
            refused.append(number)
        else:
            expected.setdefault(no, name)
    job = goods.anew(batch_rows=batch_rows).start()
    job.execute("TRUNCATE goods")
    rows = [row(no, name) for no, name in file]
    for batches in dies_after:
        with suppress(Died):
            job.load(*rows, progress=dying_after(batches))
        job = job.take_over()
    found = job.load(*rows)
    assert (found.inserted, found.rejected, found.processed) == (len(expected), len(refused), len(file))
    assert job.failures("row", "code") == [(number, "constraint") for number in sorted(refused)]
    assert job.content("no", "name") == sorted(expected.items())
