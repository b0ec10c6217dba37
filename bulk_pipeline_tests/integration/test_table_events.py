"""The events of a run on the assets of its tables: one materialization, failed files, and results of checks."""

from collections.abc import Sequence
from typing import Any, LiteralString

import dagster as dg
import psycopg
import pytest

from bulk_pipeline.orchestration import table_checks
from bulk_pipeline.orchestration.asset_keys import table_key
from bulk_pipeline.orchestration.resources import build_resources
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.rigs.pipeline import Pipeline

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
GOOD = b"email\nada@example.com\n"
ONE_REJECTED = b"email\nbo@example.com\nnobody\n"
KEY = table_key("customers")


def run_of(pipeline: Pipeline, **files: bytes) -> dg.ExecuteInProcessResult:
    """Import files together in one run; return its result."""
    for name, content in files.items():
        pipeline.drop(f"customers/{name}.csv", content)
    pipeline.claim_as_of_one_moment()
    return pipeline.run(*(pipeline.job(f"customers/{name}.csv").id for name in files))


def materializations(pipeline: Pipeline) -> list[dict[str, Any]]:
    records = pipeline.instance.fetch_materializations(KEY, limit=100).records
    events = [record.asset_materialization for record in records]
    return [{name: value.value for name, value in event.metadata.items()} for event in events if event]


def observations(pipeline: Pipeline) -> list[dict[str, Any]]:
    records = pipeline.instance.fetch_observations(KEY, limit=100).records
    events = [record.asset_observation for record in records]
    return [{name: value.value for name, value in event.metadata.items()} for event in events if event]


def test_files_of_one_run_are_one_materialization_with_their_sums(pipeline: Pipeline) -> None:
    run_of(pipeline, a=GOOD, b=ONE_REJECTED)
    (shown,) = materializations(pipeline)
    sums = ("files", "rows", "inserted", "updated", "rejected")
    assert {name: shown[name] for name in sums} == {
        "files": 2,
        "rows": 3,
        "inserted": 2,
        "updated": 0,
        "rejected": 1,
    }
    assert shown["error_rate"] == pytest.approx(1 / 3)
    assert {"seconds", "rows_per_second"} <= set(shown)
    assert [record.data["file"] for record in shown["per_file"].records] == ["b.csv", "a.csv"]
    (failure,) = [record.data for record in shown["first_failures"].records]
    assert (failure["file"], failure["row"], failure["value"]) == ("b.csv", 2, "nobody")


def test_the_materialization_of_a_single_file_names_it_and_links_its_reports(pipeline: Pipeline) -> None:
    run_of(pipeline, b=ONE_REJECTED)
    (shown,) = materializations(pipeline)
    job = pipeline.job("customers/b.csv")
    assert (shown["file"], shown["status"], shown["job_id"]) == (job.key, "completed_with_errors", job.id)
    assert set(job.reports) <= set(shown)


def test_a_failed_file_is_an_observation_that_says_why(pipeline: Pipeline) -> None:
    run_of(pipeline, a=PNG, b=GOOD)
    (shown,) = observations(pipeline)
    (failed,) = [record.data for record in shown["failed_files"].records]
    assert failed["file"] == "a.csv"
    assert failed["reason"].startswith("this is a PNG image")
    assert failed["to do"].startswith("save it in a supported format")
    assert [one["file"] for one in materializations(pipeline)] == ["customers/b.csv"]


def test_a_file_that_fails_before_the_last_op_is_one_too(pipeline: Pipeline) -> None:
    run_of(pipeline, a=PNG)
    assert len(observations(pipeline)) == 1
    assert materializations(pipeline) == []


def test_a_file_of_which_every_row_is_rejected_materializes_nothing(pipeline: Pipeline) -> None:
    run_of(pipeline, a=b"email\nnobody\n")
    (shown,) = observations(pipeline)
    assert (shown["rows"], shown["inserted"], shown["rejected"], shown["error_rate"]) == (1, 0, 1, 1.0)
    assert materializations(pipeline) == []


@pytest.mark.parametrize(
    ("files", "passed", "severity", "words"),
    [
        ({"a": GOOD}, True, "WARN", "0 of 1 rows rejected (0.00%)"),
        ({"a": GOOD, "b": ONE_REJECTED}, False, "WARN", "1 of 3 rows rejected (33.33%)"),
        ({"a": GOOD, "b": PNG}, False, "ERROR", "b.csv: this is a PNG image"),
    ],
)
def test_an_import_evaluates_the_check_of_rejected_rows(
    pipeline: Pipeline, files: dict[str, bytes], passed: bool, severity: str, words: str
) -> None:
    run_of(pipeline, **files)
    key = dg.AssetCheckKey(KEY, "every_row_accepted")
    (record,) = pipeline.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert record.event is not None
    assert record.event.dagster_event is not None
    found = record.event.dagster_event.asset_check_evaluation_data
    assert (found.passed, found.severity.value) == (passed, severity)
    assert str(found.description).startswith(words)


def test_the_checks_find_a_table_that_is_not_as_declared_and_references_to_no_row(pipeline: Pipeline) -> None:
    good = check(pipeline)
    assert set(good) == {
        ("articles", "references_exist"),
        ("comments", "references_exist"),
        ("uploads", "every_file_has_a_table"),
        *((table, "every_row_accepted") for table in ("articles", "comments", "customers", "users")),
        *((table, "rows_since_export") for table in ("articles", "comments", "customers", "users")),
        *((table, "matches_declaration") for table in ("articles", "comments", "customers", "users")),
    }
    assert {passed for passed, _ in good.values()} == {True}

    run_of(pipeline, a=ONE_REJECTED)
    execute(pipeline, "ALTER TABLE customers DROP city")
    execute(pipeline, "ALTER TABLE articles DISABLE TRIGGER ALL")
    execute(
        pipeline,
        "INSERT INTO articles (id, slug, title, body, author_id, status) VALUES "
        "('01a22e45-5177-7ee6-a929-f9912149d66b', 'a', 'a', 'a', '01a22e45-5177-7ee6-a929-f9912149d66c', 'draft')",
    )
    bad = {key: text for key, (passed, text) in check(pipeline).items() if not passed}
    assert bad == {
        ("customers", "every_row_accepted"): "a.csv: 1 of 2 rows rejected",
        ("customers", "matches_declaration"): "customers.city is missing",
        ("articles", "references_exist"): "1 rows have a author_id that is not in users",
    }


@pytest.mark.parametrize(
    ("deleted", "words"),
    [
        (1, "all is well"),
        (
            2,
            "8 rows, 2 fewer than the 10 of export {export}: if nobody has deleted them on purpose, import the files of that export",
        ),
    ],
)
def test_a_table_that_has_lost_more_than_a_tenth_of_an_export_is_a_warning(
    pipeline: Pipeline, deleted: int, words: str
) -> None:
    run_of(pipeline, a=b"email\n" + b"".join(b"%d@example.com\n" % number for number in range(10)))
    export = exported(pipeline)
    filtered = exported(pipeline, filters=["email=0@example.com"])
    execute(pipeline, "UPDATE bulk.export_jobs SET finished_at = finished_at - interval '1 day'")
    execute(pipeline, "DELETE FROM customers WHERE email < %s", [f"{deleted}"])
    after = exported(pipeline)  # too young to be compared with

    shown = check(pipeline)["customers", "rows_since_export"]

    assert len({export, filtered, after}) == 3
    assert shown == (deleted == 1, words.format(export=export))


def test_a_table_without_an_older_export_is_compared_with_the_oldest(pipeline: Pipeline) -> None:
    run_of(pipeline, a=GOOD)
    first = exported(pipeline)
    execute(pipeline, "DELETE FROM customers")
    exported(pipeline)

    passed, text = check(pipeline)["customers", "rows_since_export"]

    assert not passed
    assert str(text).startswith(f"0 rows, 1 fewer than the 1 of export {first}")


def exported(pipeline: Pipeline, filters: Sequence[str] = ()) -> str:
    """Export the customers; return the id of the job."""
    job = pipeline.stores.exports.ask(ExportRequest.of(table="customers", filters=filters))
    return export_job(pipeline.stores, job.id, job.id, lambda _: None, lambda: False).id


def execute(pipeline: Pipeline, statement: LiteralString, values: Sequence[object] = ()) -> None:
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(statement, values)


def check(pipeline: Pipeline) -> dict[tuple[str, str], tuple[bool, str | None]]:
    """Run all checks; return for each whether it passed, and what it says."""
    job = dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())
    definitions = dg.Definitions(
        asset_checks=[table_checks.definition()], jobs=[job], resources=build_resources(pipeline.stores)
    )
    result = definitions.resolve_job_def("check").execute_in_process(instance=pipeline.instance)
    return {
        (one.asset_key.path[-1], one.check_name): (one.passed, one.description)
        for one in result.get_asset_check_evaluations()
    }
