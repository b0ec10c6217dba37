"""Names, headers and cells are plain text: no part of the pipeline interprets them."""

import json
import os

import dagster as dg
import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.orchestration.asset_keys import table_key
from bulk_pipeline_tests.rigs.pipeline import Pipeline

HOSTILE = [
    "'; DROP TABLE customers; --",
    '"; DROP SCHEMA bulk CASCADE; --',
    "%s %(id)s {0} {name} $1 \\copy :x",
    "$(touch owned) `touch owned` | touch owned",
    "<script>alert(1)</script>",
    "[a](javascript:alert(1)) ![](http://x.example/y)",
    "\\N",
    "\\.",
]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("hostile", HOSTILE)
def test_it_is_loaded_and_reported_as_it_is_written(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str], hostile: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = quoted(hostile)
    text = f"email,{cell},city\na@x.co,{cell},{cell}\n{cell},x,{cell}\n"
    job = pipeline.load(f"customers/{hostile.replace('/', '-')}.csv", text.encode())
    assert job.status is Status.COMPLETED_WITH_ERRORS
    assert pipeline.query("SELECT email, city FROM customers") == [("a@x.co", hostile)]
    (failure,) = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    assert (failure["column"], failure["code"], failure["value"]) == ("email", "bad_format", hostile)
    assert pipeline.report(job, "rejected.csv").decode().endswith(f"{cell},x,{cell}\n")
    assert not (set(os.listdir(tmp_path)) - {"work", "scratch"})


def test_markup_in_the_dagster_ui_is_text(pipeline: Pipeline) -> None:
    """Its tables show values unchanged; Markdown would interpret them, and is never used for untrusted text."""
    pipeline.load("customers/a.csv", f"email\n{quoted(HOSTILE[4])}\na@x.co\n".encode())
    event = pipeline.instance.get_latest_materialization_event(table_key("customers"))
    assert event is not None
    assert event.asset_materialization is not None
    kinds = {type(value) for value in event.asset_materialization.metadata.values()}
    assert dg.TableMetadataValue in kinds
    assert dg.MarkdownMetadataValue not in kinds
