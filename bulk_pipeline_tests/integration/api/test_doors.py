"""A file is accepted by all ways of upload or by none: the bucket, both families over HTTP, and the command line.

Every sample of the suite is uploaded in all ways, with the same outcome and messages. A short run takes every tenth,
and those with a declared format.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from bulk_pipeline.cli.app import app
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.stages.junk_files import is_junk
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.corpus import Sample, samples
from bulk_pipeline_tests.rigs.pipeline import Pipeline

SAMPLES = dict(enumerate(samples()))
Outcome = str | tuple[int, int]
"""The message of a refused file, or its numbers of rows and of rejected rows."""


def declared(sample: Sample) -> dict[str, str]:
    named = {"encoding": sample.encoding, "records": sample.records}
    return {name: text for name, text in named.items() if text} | dict(sample.format)


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def outcome(pipeline: Pipeline, job: ImportJob) -> Outcome:
    counts = pipeline.counts(job)
    assert counts.total or job.error or job.warnings, job
    return job.error if job.error and not counts.total else (counts.total or 0, counts.rejected)


def checked(sample: Sample, folder: Path) -> Outcome:
    """Return the outcome of `check`."""
    folder.mkdir()
    file = folder / sample.name
    file.write_bytes(sample.content)
    words = [word for name, text in declared(sample).items() for word in (option(name), text)]
    done = CliRunner().invoke(
        app, ["check", str(file), "--table", "customers", "--mode", "upsert", "--json", *words]
    )
    document = json.loads(done.stdout)
    return document.get("error") or (document["total"], document["rejected"])


def posted(api: TestClient, sample: Sample) -> tuple[str | None, str | None]:
    """Return the job's id, or the message of the refusal, by the second family."""
    fields: dict[str, Any] = {"resource_type": "customers", "mode": "upsert", **declared(sample)}
    answer = api.post("/api/v1/imports", data=fields, files={"file": (sample.name, sample.content)})
    assert answer.status_code in (202, 400), answer.text
    return (answer.json()["id"], None) if answer.status_code == 202 else (None, answer.json()["error"])


def posted_by(person: Person, api: TestClient, sample: Sample, number: int) -> str | None:
    """Return the message of the refusal by the first family, or None if it accepts the file."""
    answer = api.post(
        "/imports?mode=upsert",
        files={"file": (sample.name, sample.content)},
        headers=person.headers | {"Idempotency-Key": str(number)},
    )
    assert answer.status_code in (201, 400), answer.text
    return None if answer.status_code == 201 else answer.json()["detail"]


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.long)])
def test_the_same_becomes_of_a_file_at_every_door(
    pipeline: Pipeline, api: TestClient, ann: Person, tmp_path: Path, step: int, subtests: pytest.Subtests
) -> None:
    some = {n: sample for n, sample in SAMPLES.items() if n % step == 0 or sample.format}
    ids: dict[int, str] = {}
    refusals: dict[int, str] = {}
    for number, sample in some.items():
        pipeline.drop(f"customers/upsert/{number}/{sample.name}", sample.content, **declared(sample))
        job_id, refusal = posted(api, sample)
        if job_id is not None:
            ids[number] = job_id
        if refusal is not None:
            refusals[number] = refusal
    pipeline.claim_as_of_a_while_ago()
    pipeline.work_off()
    for number, sample in some.items():
        with subtests.test(sample.what):
            said = checked(sample, tmp_path / str(number))
            by_http = (
                outcome(pipeline, pipeline.stores.ledger.get(ids[number]))
                if number in ids
                else refusals[number]
            )
            assert same(by_http, said)
            if is_junk(sample.name):
                assert f"customers/upsert/{number}/{sample.name}" in pipeline.inbox()
                assert "is not an upload" in str(said)
            else:
                job = pipeline.job(f"customers/upsert/{number}/{sample.name}")
                assert outcome(pipeline, job) == said
            if not declared(sample):
                assert posted_by(ann, api, sample, number) == refusals.get(number)


def same(by_http: Outcome, outcome: Outcome) -> bool:
    """Return the message without the number of bytes of an empty file, which HTTP has never had."""
    return by_http == outcome or (
        by_http == "the file is empty" and str(outcome).startswith("the file is empty (0")
    )


AT_ONCE = {
    "an encrypted workbook": True,
    "a page with a table, in UTF-16": True,
    "junk, ~$book.xlsx": True,
    "CSV in utf-32-le": True,
    "CSV in utf-16": False,
    "CSV in utf-32": False,
    "CSV in utf-16-le, declared": False,
    "JSON in utf-16-be": False,
}
"""Samples that are, or are not, refused before there is a job, because of their first bytes."""


def test_a_file_is_refused_over_http_before_there_is_a_job(pipeline: Pipeline, api: TestClient) -> None:
    named = {sample.what: sample for sample in SAMPLES.values()}
    assert {what: posted(api, named[what])[0] is None for what in AT_ONCE} == AT_ONCE
