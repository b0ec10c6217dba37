"""Runs of `import_files` that a person launches in the Launchpad: which files they import, and what they refuse."""

from typing import Any

import dagster as dg
import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ADA = b"email\nada@example.com\n"


def put(pipeline: Pipeline, key: str, content: bytes = ADA, **metadata: str) -> str:
    """Put an object into a bucket that is not the inbox; return its address."""
    bucket = pipeline.stores.settings.s3_bucket_exports
    pipeline.stores.objects.put(bucket, key, content, metadata=metadata)
    return f"s3://{bucket}/{key}"


def tags(pipeline: Pipeline, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    run = pipeline.instance.get_run_by_id(result.run_id)
    assert run is not None
    return {name: value for name, value in run.tags.items() if name.startswith("bulk/")}


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_node_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return str(data.description)


def jobs(pipeline: Pipeline) -> list[ImportJob]:
    return pipeline.stores.ledger.newest()[::-1]


def emails(pipeline: Pipeline) -> list[str]:
    return [email for (email,) in pipeline.query("SELECT email FROM customers ORDER BY email")]


def test_an_object_of_any_bucket_is_imported_and_stays_where_it_is(pipeline: Pipeline) -> None:
    file = put(pipeline, "from/a partner/März.csv", b"email\nada@example.com\nnobody\n")
    result = pipeline.launch(files=[file], table="customers", mode="upsert")
    assert result.success
    (job,) = jobs(pipeline)
    assert (job.table, job.mode, job.status) == ("customers", "upsert", Status.COMPLETED_WITH_ERRORS)
    assert (job.file_name, job.run_id) == ("März.csv", result.run_id)
    assert tags(pipeline, result) == {
        "bulk/file": "März.csv",
        "bulk/table": "customers",
        "bulk/mode": "upsert",
        "bulk/status": "some rows rejected",
        "bulk/rejected": "1",
    }
    assert (emails(pipeline), pipeline.inbox()) == (["ada@example.com"], [])
    bucket, _, key = file.removeprefix("s3://").partition("/")
    assert pipeline.stores.objects.find(bucket, key) is not None


def test_its_folder_names_the_table_and_its_metadata_the_mode(pipeline: Pipeline) -> None:
    assert pipeline.launch(files=[put(pipeline, "customers/a.csv", mode="upsert")]).success
    assert [(job.table, job.mode) for job in jobs(pipeline)] == [("customers", "upsert")]


def test_the_same_object_is_imported_once_unless_it_is_forced(pipeline: Pipeline) -> None:
    file = put(pipeline, "customers/a.csv")
    assert all(pipeline.launch(files=[file]).success for _ in range(2))
    pipeline.query("DELETE FROM customers RETURNING id")
    assert pipeline.launch(files=[file], force=True).success
    statuses = [job.status for job in jobs(pipeline)]
    assert statuses == [Status.COMPLETED, Status.SKIPPED, Status.COMPLETED]


def test_a_file_in_the_inbox_is_claimed_and_imported(pipeline: Pipeline) -> None:
    pipeline.drop("customers/upsert/a.csv", ADA)
    assert pipeline.launch(files=["customers/upsert/a.csv"]).success
    assert [(job.mode, job.status) for job in jobs(pipeline)] == [("upsert", Status.COMPLETED)]
    assert pipeline.inbox() == []


def test_without_files_a_run_imports_what_waits_in_the_inbox(pipeline: Pipeline) -> None:
    assert pipeline.launch().success
    for name in ("a", "b"):
        pipeline.drop(f"customers/{name}.csv", f"email\n{name}@example.com\n".encode())
    pipeline.claim_as_of_a_while_ago()
    result = pipeline.launch()
    assert result.success
    assert emails(pipeline) == ["a@example.com", "b@example.com"]
    assert tags(pipeline, result)["bulk/file"] == "a.csv +1"


@pytest.mark.parametrize("is_by_id", [True, False])
def test_an_upload_that_failed_is_imported_again(pipeline: Pipeline, is_by_id: bool) -> None:
    pipeline.query("INSERT INTO customers (email) VALUES ('ada@example.com') RETURNING id")
    failed = pipeline.load("customers/a.csv", ADA)
    pipeline.query("DELETE FROM customers RETURNING id")
    assert pipeline.launch(files=[failed.id if is_by_id else failed.key]).success
    assert [(job.status, job.retry_of) for job in jobs(pipeline)] == [
        (Status.FAILED, None),
        (Status.COMPLETED, failed.id),
    ]


def test_an_upload_of_which_every_row_is_there_is_left_alone_unless_forced(pipeline: Pipeline) -> None:
    done = pipeline.load("customers/a.csv", ADA)
    result = pipeline.launch(files=[done.id])
    assert (result.success, tags(pipeline, result)["bulk/status"]) == (True, "nothing to do")
    assert len(jobs(pipeline)) == 1
    assert not pipeline.launch(files=[done.id], force=True).success  # each row exists
    assert [job.status for job in jobs(pipeline)] == [Status.COMPLETED, Status.FAILED]


def test_a_file_does_not_overtake_another_one_of_its_table_or_of_a_parent(pipeline: Pipeline) -> None:
    pipeline.drop("users/first.csv", b"id,email,name\n")
    pipeline.claim_as_of_a_while_ago()
    result = pipeline.launch(files=[put(pipeline, "articles/second.csv", b"id,slug,title,body\n")])
    assert (result.success, tags(pipeline, result)["bulk/status"]) == (
        True,
        "left to a later run",
    )
    pipeline.work_off()
    first, second = jobs(pipeline)
    assert (first.table, second.table) == ("users", "articles")
    assert first.finished_at is not None
    assert second.started_at is not None
    assert first.finished_at < second.started_at


def test_a_dry_run_shows_what_an_import_would_reject_and_changes_nothing(pipeline: Pipeline) -> None:
    file = put(pipeline, "march.csv", b"email\nada@example.com\nnobody\n")
    result = pipeline.launch(files=[file], table="customers", dry_run=True)
    assert result.success
    (event,) = [
        event for event in result.all_node_events if event.is_successful_output and event.step_key == "parse"
    ]
    shown = event.step_output_data.metadata
    assert {name: shown[name].value for name in ("files", "rows", "good", "rejected")} == {
        "files": 1,
        "rows": 2,
        "good": 1,
        "rejected": 1,
    }
    first = shown["first_failures"]
    assert isinstance(first, dg.TableMetadataValue)
    assert [(record.data["row"], record.data["value"]) for record in first.records] == [(2, "nobody")]
    assert tags(pipeline, result) == {
        "bulk/file": "march.csv",
        "bulk/table": "customers",
        "bulk/mode": "dry run",
        "bulk/status": "only checked",
        "bulk/rejected": "1",
    }
    assert (jobs(pipeline), emails(pipeline)) == ([], [])


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"files": ["customers/march.csv"]},
            "there is no file 'customers/march.csv' in the inbox, and no job",
        ),
        ({"files": ["s3://exports"]}, "'s3://exports' is not a file: write s3://bucket/folder/march.csv"),
        ({"files": ["s3://{exports}/gone.csv"], "table": "customers"}, "gone.csv"),
        ({"files": ["s3://{exports}/there.csv"]}, "set `table` to one of"),
        (
            {"files": ["s3://{exports}/there.csv"], "table": "nobody"},
            "unknown table 'nobody': expected one of",
        ),
        ({"files": ["01a22e45-5177-7ee6-a929-f9912149d66b"]}, "01a22e45-5177-7ee6-a929-f9912149d66b"),
        ({"files": ["s3://{exports}/gone.csv"], "table": "customers", "dry_run": True}, "gone.csv"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_sentence(
    pipeline: Pipeline, config: dict[str, Any], sentence: str
) -> None:
    put(pipeline, "there.csv")
    exports = pipeline.stores.settings.s3_bucket_exports
    result = pipeline.launch(**config | {"files": [file.format(exports=exports) for file in config["files"]]})
    assert not result.success
    assert sentence in failure(result)
    assert tags(pipeline, result)["bulk/status"] == "failed"
    assert jobs(pipeline) == []


def test_options_that_contradict_the_folders_of_an_upload_are_refused(pipeline: Pipeline) -> None:
    pipeline.drop("customers/a.csv", ADA)
    result = pipeline.launch(files=["customers/a.csv"], mode="upsert")
    assert "lies in the inbox, where its folders name table and mode" in failure(result)
    assert pipeline.inbox() == ["customers/a.csv"]


def test_a_run_that_is_re_executed_from_a_later_step_knows_its_files(pipeline: Pipeline) -> None:
    result = pipeline.launch(files=[put(pipeline, "customers/a.csv")])
    assert pipeline.stores.ledger.of_run(result.run_id) == [jobs(pipeline)[0].id]
