"""Rows that the database refuses, drops or changes: table, counts and reports agree."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.import_batches import load_failures
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import Counts, LoadCounts
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline_tests.rigs.dying_import import breaking
from bulk_pipeline_tests.rigs.loading import Loading, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline


def failures(pipeline: Pipeline, job: ImportJob, *names: str) -> list[tuple]:
    lines = pipeline.report(job, "errors.ndjson").splitlines()
    return [tuple(json.loads(line)[name] for name in names or ("row", "column", "code")) for line in lines]


FILES = {
    "csv": lambda rows: "\n".join(["id,email,city", *(",".join(row) for row in rows), ""]).encode(),
    "ndjson": lambda rows: "".join(
        json.dumps(dict(zip(("id", "email", "city"), row, strict=True))) + "\n" for row in rows
    ).encode(),
    "json": lambda rows: json.dumps(
        [dict(zip(("id", "email", "city"), row, strict=True)) for row in rows]
    ).encode(),
}
"""Functions that write rows of id, email and city as a file of each kind."""


@pytest.mark.parametrize("kind", FILES)
def test_a_row_whose_key_is_in_the_table_shuts_out_no_other(pipeline: Pipeline, kind: str) -> None:
    pipeline.load("customers/before.csv", f"id,email\n{uid(1)},a@example.com\n".encode())
    rows = [
        (uid(1), "n@example.com", "Rome"),
        (uid(2), "n@example.com", "Bonn"),
        (uid(3), "n@example.com", "x"),
    ]
    job = pipeline.load(f"customers/after.{kind}", FILES[kind](rows))
    assert (job.status, pipeline.counts(job)) == (
        Status.COMPLETED_WITH_ERRORS,
        Counts(total=3, inserted=1, rejected=2),
    )
    assert failures(pipeline, job) == [(1, "id", "already_exists"), (3, "email", "duplicate_in_file")]
    assert pipeline.query("SELECT id::text, email, city FROM customers ORDER BY id") == [
        (uid(1), "a@example.com", None),
        (uid(2), "n@example.com", "Bonn"),
    ]


def case(name: str) -> str:
    """A trigger or constraint on customers that the declaration does not have."""
    return {
        "drops": """
            CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.city = 'Nowhere' THEN RETURN NULL; END IF; RETURN NEW; END $$;
            CREATE TRIGGER drop_some BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION drop_some();
        """,
        "deferred unique": "ALTER TABLE customers ADD CONSTRAINT city_once UNIQUE (city) DEFERRABLE INITIALLY DEFERRED",
        "deferred trigger": """
            CREATE FUNCTION no_evil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.city = 'Evil' THEN RAISE EXCEPTION 'no evil cities' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'no_evil'; END IF; RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER no_evil AFTER INSERT OR UPDATE ON customers
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_evil();
        """,
    }[name]


@pytest.mark.parametrize(("kind", "mode"), [("csv", "insert_only"), ("ndjson", "upsert"), ("json", "upsert")])
@pytest.mark.parametrize(
    ("constraint", "cities", "rejected", "column", "reason"),
    [
        pytest.param(
            "drops", ["Rome", "Nowhere", "Bonn"], 2, None, "trigger drop_some dropped it", id="dropped"
        ),
        pytest.param(
            "deferred unique",
            ["Rome", "Rome", "Bonn"],
            2,
            "city",
            "constraint city_once: Key (city)=(Rome) already exists",
            id="deferred unique",
        ),
        pytest.param(
            "deferred trigger",
            ["Rome", "Evil", "Bonn"],
            2,
            None,
            "constraint no_evil: no evil cities",
            id="deferred trigger",
        ),
    ],
)
def test_only_the_row_that_the_database_does_not_take_is_rejected(
    pipeline: Pipeline,
    kind: str,
    mode: str,
    constraint: str,
    cities: list[str],
    rejected: int,
    column: str | None,
    reason: str,
) -> None:
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(case(constraint).encode())
    rows = [(uid(number), f"{number}@example.com", city) for number, city in enumerate(cities, 1)]
    job = pipeline.load(f"customers/a.{kind}", FILES[kind](rows), mode=mode)
    assert (job.status, job.attempt, pipeline.counts(job)) == (
        Status.COMPLETED_WITH_ERRORS,
        1,
        Counts(total=3, inserted=2, rejected=1),
    )
    assert failures(pipeline, job, "row", "column", "code", "message") == [
        (rejected, column, "constraint", f"the database refused the row: {reason}")
    ]
    assert pipeline.query("SELECT id::text, email, city FROM customers ORDER BY id") == [
        row for number, row in enumerate(rows, 1) if number != rejected
    ]


DOUBLES = [
    (uid(1), "a@example.com", "Nowhere"),  # dropped: the next row has its key
    (uid(2), "a@example.com", "Rome"),
    (uid(3), "a@example.com", "Bonn"),
    (uid(4), "b@example.com", "Nowhere"),  # dropped, and so is the next one
    (uid(5), "b@example.com", "Nowhere"),
    (uid(6), "c@example.com", "Rome"),
    (uid(6), "d@example.com", "Rome"),
    (uid(7), "b@example.com", "Oslo"),
]


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
@pytest.mark.parametrize("dies", [None, "before", "after"])
def test_a_row_that_the_database_refuses_shuts_out_no_other(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, batch_rows: int, dies: str | None
) -> None:
    """Even if the run is interrupted during the correction."""
    settings = pipeline.stores.settings.model_copy(update={"bulk_batch_rows": batch_rows})
    monkeypatch.setitem(pipeline.stores.__dict__, "settings", settings)
    if dies:
        error = StoreUnavailableError("the server does not answer")
        call = breaking(PostgresRowStore.settle_again, 1, dies == "after", error)
        monkeypatch.setattr(PostgresRowStore, "settle_again", call)
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(case("drops").encode())
    job = pipeline.load("customers/a.csv", FILES["csv"](DOUBLES))
    assert job.attempt == (2 if dies else 1)
    assert pipeline.counts(job) == Counts(total=8, inserted=3, rejected=5)
    dropped = "the database refused the row: trigger drop_some dropped it"
    assert failures(pipeline, job, "row", "code", "message") == [
        (1, "constraint", dropped),
        (3, "duplicate_in_file", "email 'a@example.com' was already used in row 2"),
        (4, "constraint", dropped),
        (5, "constraint", dropped),
        (7, "duplicate_in_file", f"id '{uid(6)}' was already used in row 6"),
    ]
    assert pipeline.query("SELECT id::text, email, city FROM customers ORDER BY id") == [
        DOUBLES[1],
        DOUBLES[5],
        DOUBLES[7],
    ]


keys = st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from("abcd"), st.sampled_from(["Rome", "Nowhere"]))
tables_before = st.lists(st.sampled_from([(1, "a"), (2, "x"), (8, "b")]), max_size=2, unique=True)
examples = settings_of_hypothesis(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@examples
@given(file=st.lists(keys, max_size=9), before=tables_before, batch_rows=st.integers(1, 10))
def test_a_file_ends_as_if_its_rows_were_inserted_one_by_one(
    dropping: Loading, tmp_path: Path, file: list, before: list, batch_rows: int
) -> None:
    """Rows are refused by keys in the table, keys in the file, or triggers."""
    file = [(None, name, city) for _, name, city in file]
    stored = {name for _, name in before}
    codes, claimed = {}, {}
    for row, (_, name, city) in enumerate(file, 1):
        if name in claimed:
            codes[row] = "duplicate_in_file"
        elif name in stored:
            codes[row] = "already_exists"
        elif city == "Nowhere":
            codes[row] = "constraint"
        else:
            claimed[name] = city
    result, total, rows = imported(dropping, tmp_path, file, before, batch_rows)
    assert result == codes
    assert total == LoadCounts(inserted=len(claimed), rejected=len(codes))
    assert {(email[0], city) for _, email, city in rows} == {
        *claimed.items(),
        *((name, None) for name in stored),
    }


@examples
@given(file=st.lists(keys, max_size=9), before=tables_before, batch_rows=st.integers(1, 10))
def test_every_row_is_in_the_table_or_has_a_reason_that_is_true(
    dropping: Loading, tmp_path: Path, file: list, before: list, batch_rows: int
) -> None:
    """With two keys per row, a later row may have taken one of them before the other is free."""
    result, total, rows = imported(dropping, tmp_path, file, before, batch_rows)
    good = [row for number, row in enumerate(file, 1) if number not in result]
    assert total == LoadCounts(inserted=len(good), rejected=len(result))
    before_rows = [(number, name, None) for number, name in before]
    assert rows == sorted(
        ((uid(number), f"{name}@example.com", city) for number, name, city in [*good, *before_rows]), key=repr
    )
    held = {key for number, name, _ in good for key in (number, name)}
    stored = {key for row in before for key in row}
    for row, code in result.items():
        number, name, city = file[row - 1]
        assert code in {
            "duplicate_in_file" if {number, name} & held else None,
            "already_exists" if {number, name} & stored else None,
            "constraint" if city == "Nowhere" else None,
        }


@pytest.fixture
def dropping(database_url: str) -> Loading:
    loading = Loading(database_url)
    loading.execute(case("drops"))
    return loading


def imported(
    dropping: Loading, folder: Path, file: list, before: list, batch_rows: int
) -> tuple[dict[int, str], LoadCounts, list[tuple]]:
    """Run all steps of an import; return failure codes by row, the counts, and the table's rows."""
    job = dropping.anew(batch_rows=batch_rows).start()
    job.execute("TRUNCATE customers")
    job.have(*({"id": uid(number), "email": f"{name}@example.com"} for number, name in before))
    work, table, mode = WorkLocation(folder / job.job_id), tables.get("customers"), Mode.INSERT_ONLY
    content = FILES["csv"](
        [((number and uid(number)) or "", f"{name}@example.com", city) for number, name, city in file]
    )
    upload = open_upload(io.BytesIO(content), "a.csv", table=table, mode=mode)
    with job.store() as store, job.postgres() as postgres:
        known = PostgresKnownRows(store)
        state = import_steps.parse_upload(upload, job.job_id, 1, table, mode, work)
        state = replace(import_steps.validate_rows(state, work), batch_rows=job.batch_rows)
        state = import_steps.split_rows(state, PostgresReferences(postgres, table), known, work)
        state = import_steps.load_rows(state, work, store, known, IdMaker(), lambda _: None)
        result = [*state.batches(work, "split_failures"), *load_failures(postgres, job.job_id)]
        codes = {row["row"]: row["code"] for batch in result for row in batch.to_pylist()}
        return codes, sum(store.committed().values(), LoadCounts()), job.content("id", "email", "city")
