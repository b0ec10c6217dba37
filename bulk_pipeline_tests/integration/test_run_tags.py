"""The tags of runs of `import_files`, and the op that fails with the reason."""

import dagster as dg
import pytest

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline_tests.rigs.pipeline import Pipeline

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
GOOD = b"email\nada@example.com\n"
ONE_REJECTED = b"email\nbo@example.com\nnobody\nnobody else\n"


def run_of(pipeline: Pipeline, **files: bytes) -> dg.ExecuteInProcessResult:
    """Import files together in one run; return its result."""
    for name, content in files.items():
        pipeline.drop(f"customers/{name}.csv", content)
    pipeline.claim_as_of_one_moment()
    return pipeline.run(*(pipeline.job(f"customers/{name}.csv").id for name in files))


def tags(pipeline: Pipeline, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    run = pipeline.instance.get_run_by_id(result.run_id)
    assert run is not None
    return {name: value for name, value in run.tags.items() if "bulk" in name}


def failures(result: dg.ExecuteInProcessResult) -> dict[str | None, str]:
    """Return the text of each failed op."""
    return {
        event.step_key: str(event.step_failure_data.user_failure_data.description)
        for event in result.all_node_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }


def test_a_run_says_which_file_it_imported_and_what_became_of_it(pipeline: Pipeline) -> None:
    result = run_of(pipeline, march=ONE_REJECTED)
    assert tags(pipeline, result) == {
        "bulk/file": "march.csv",
        "bulk/table": "customers",
        "bulk/mode": "insert_only",
        "bulk/status": "some rows rejected",
        "bulk/rejected": "2",
        "dagster/bulk_job_id": pipeline.job("customers/march.csv").id,
    }


@pytest.mark.parametrize(
    ("content", "op", "sentence"),
    [
        (
            PNG,
            "parse",
            "a.csv: this is a PNG image; expected CSV, TSV, NDJSON, a JSON array, Parquet or .xlsx, also inside .gz, "
            ".zst, .bz2 or .zip. To do: save it in a supported format; the message says what the file is",
        ),
        (
            b"email\nnobody\n",
            "emit",
            "a.csv: every row was rejected. To do: correct the rows of its report rejected.*, and drop that file",
        ),
    ],
)
def test_the_op_that_fails_says_which_file_what_is_wrong_and_what_to_do(
    pipeline: Pipeline, content: bytes, op: str, sentence: str
) -> None:
    result = run_of(pipeline, a=content)
    assert failures(result) == {op: sentence}
    assert tags(pipeline, result)["bulk/status"] == "failed"


def test_a_bad_file_does_not_stop_the_others_and_the_last_op_tells_of_it(pipeline: Pipeline) -> None:
    result = run_of(pipeline, a=PNG, b=ONE_REJECTED, c=GOOD)
    ((op, text),) = failures(result).items()
    assert (op, text.splitlines()[0].startswith("a.csv: this is a PNG image")) == ("emit", True)
    statuses = [pipeline.job(f"customers/{name}.csv").status for name in "abc"]
    assert statuses == [Status.FAILED, Status.COMPLETED_WITH_ERRORS, Status.COMPLETED]
    shown = tags(pipeline, result)
    assert (shown["bulk/file"], shown["bulk/status"], shown["bulk/rejected"]) == ("a.csv +2", "failed", "2")


def test_a_failed_op_lists_all_failed_files(pipeline: Pipeline) -> None:
    names = [f"f{number:02}" for number in range(22)]
    result = run_of(pipeline, **dict.fromkeys(names, PNG))
    (event,) = [event for event in result.all_node_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    assert str(data.description).splitlines()[-1] == "and 2 more files, in the table of failed files"
    table = data.metadata["failed_files"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["file"] for record in table.records] == [f"{name}.csv" for name in names]


def test_an_outage_is_no_failure_of_a_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.drop("customers/a.csv", GOOD)
    pipeline.claim_as_of_a_while_ago()
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "open", _outage)
        (request,) = take_in(pipeline.stores, None).requests
        result = pipeline.run(*(job.id for job in request.jobs))
    assert not result.success
    assert tags(pipeline, result)["bulk/status"] == "interrupted, retried"


def test_a_run_that_has_nothing_to_do_says_so(pipeline: Pipeline) -> None:
    first = run_of(pipeline, a=GOOD)
    again = pipeline.run(pipeline.job("customers/a.csv").id)
    assert (first.success, again.success) == (True, True)
    assert tags(pipeline, again) == {"bulk/status": "nothing to do"}


def _outage(*_: object) -> object:
    raise StoreUnavailableError("the server does not answer")
