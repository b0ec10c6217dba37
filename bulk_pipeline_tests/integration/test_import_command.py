"""`import` on the command line: the job it follows, its messages about repeated files, and its exit status."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest

from bulk_pipeline.cli import export, imports
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline

ROME = "email,city\nroll@example.com,Rome\n"
OSLO = "email,city\nroll@example.com,Oslo\n"


@pytest.fixture
def working(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The pipeline, which runs jobs while the command waits."""

    def work(_: float) -> None:
        pipeline.claim_as_of_a_while_ago()
        pipeline.work_off()

    monkeypatch.setattr(imports, "time", SimpleNamespace(sleep=work))
    return pipeline


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode("latin-1"))
        return path

    return write


File = Callable[[str, str], Path]


def documents(done: CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def jobs(pipeline: Pipeline) -> list[ImportJob]:
    """Return all jobs, oldest first."""
    return pipeline.stores.ledger.newest()[::-1]


def interrupting(after: int = 1) -> Any:
    """Return a clock whose sleep raises KeyboardInterrupt at a call, counted from 1."""
    calls = count(1)

    def sleep(_: float) -> None:
        if next(calls) == after:
            raise KeyboardInterrupt

    return SimpleNamespace(sleep=sleep)


def test_yesterdays_file_imported_again_takes_todays_back(
    working: Pipeline, command: Command, file: File
) -> None:
    yesterday, today = file("yesterday.csv", ROME), file("today.csv", OSLO)
    for path, city in ((yesterday, "Rome"), (today, "Oslo"), (yesterday, "Rome")):
        done = command("import", path, "--table", "customers", "--mode", "upsert", "--json")
        (document,) = documents(done)
        assert (done.returncode, document["status"]) == (0, "completed")
        assert working.query("SELECT city FROM customers") == [(city,)]


@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
def test_a_file_that_was_imported_before_is_skipped_with_a_sentence_and_an_exit_status_of_its_own(
    working: Pipeline, command: Command, file: File, mode: str
) -> None:
    words = ("import", file("a.csv", ROME), "--table", "customers", "--mode", mode)
    assert command(*words).returncode == 0
    with working.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE customers")
    shown = command(*words)
    first, skipped = jobs(working)
    assert shown.returncode == 4
    assert (
        f"a.csv: skipped: imported before as job {first.id} on {first.arrived_at:%Y-%m-%d %H:%M} UTC; "
        "drop it with force to import it again"
    ) in shown.stdout.splitlines()
    assert "bulk-pipeline import --force" in shown.stdout
    assert skipped.id in shown.stdout
    (document,) = documents(done := command(*words, "--json"))
    assert (done.returncode, document["status"], document["first_job_id"]) == (4, "skipped", first.id)
    assert (document["total"], document["inserted"]) == (None, 0)


def test_a_file_dropped_twice_within_a_second_is_one_import(
    pipeline: Pipeline, command: Command, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_: float) -> None:
        """Let the second upload have the time of the first, as in a store with whole seconds."""
        for entry in pipeline.stores.objects.page(pipeline.stores.settings.s3_bucket_uploads).objects:
            with pipeline.stores.postgres.transaction() as connection:
                connection.execute("UPDATE bulk.import_jobs SET arrived_at = %s", [entry.last_modified])
            pipeline.stores.claims.claim(entry)
        pipeline.work_off()

    words = ("import", file("a.csv", ROME), "--table", "customers", "--json")
    command(*words, "--no-wait")
    pipeline.claim_as_of_a_while_ago()
    monkeypatch.setattr(imports, "time", SimpleNamespace(sleep=work))
    (document,) = documents(done := command(*words))
    assert (done.returncode, document["status"], document["inserted"]) == (0, "completed", 1)
    assert [job.id for job in jobs(pipeline)] == [document["id"]]


def test_force_imports_it_again(working: Pipeline, command: Command, file: File) -> None:
    words = ("import", file("a.csv", ROME), "--table", "customers", "--mode", "upsert", "--json")
    command(*words)
    with working.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE customers")
    (document,) = documents(done := command(*words, "--force"))
    assert (done.returncode, document["status"], document["inserted"]) == (0, "completed", 1)
    assert working.query("SELECT city FROM customers") == [("Rome",)]


def test_a_file_that_is_being_imported_already_is_skipped_for_that_job(
    pipeline: Pipeline, command: Command, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "time", SimpleNamespace(sleep=lambda _: pipeline.claim_as_of_a_while_ago()))
    words = ("import", file("a.csv", ROME), "--table", "customers")
    command(*words, "--no-wait")
    pipeline.claim_as_of_a_while_ago()
    done = command(*words)
    first, _ = jobs(pipeline)
    assert done.returncode == 4
    assert f"a.csv: skipped: being imported already as job {first.id} since" in done.stdout


def test_other_declarations_are_another_import(working: Pipeline, command: Command, file: File) -> None:
    path = file("a.csv", "email,city\nroll@example.com,\xb3\n")
    words = ("import", path, "--table", "customers", "--mode", "upsert")
    for encoding, city in (("cp1252", "³"), ("cp1250", "ł")):
        assert command(*words, "--encoding", encoding).returncode == 0
        assert working.query("SELECT city FROM customers") == [(city,)]
    assert command(*words, "--encoding", "cp1250").returncode == 4


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["new", "old"], 4),
        (["bad", "old"], 3),
        (["broken", "bad", "old"], 1),
        (["new"], 0),
    ],
)
def test_of_several_files_the_worst_decides_the_exit_status(
    working: Pipeline, command: Command, file: File, names: list[str], status: int
) -> None:
    contents = {"old": ROME, "new": "email\nnew@example.com\n", "bad": "email\nok@example.com\nno\n"}
    paths = {
        name: file(f"{name}.csv", content)
        for name, content in (contents | {"broken": "nothing\nof use\n"}).items()
    }
    command("import", paths["old"], "--table", "customers")
    done = command("import", *(paths[name] for name in names), "--table", "customers", "--json")
    assert (done.returncode, len(documents(done))) == (status, len(names))


def test_each_jobs_id_is_printed_as_soon_as_it_is_known(
    working: Pipeline, command: Command, file: File
) -> None:
    one, two = file("one.csv", ROME), file("two.csv", "email\ntwo@example.com\n")
    done = command("import", one, two, "--table", "customers")
    ids = {job.file_name: job.id for job in jobs(working)}
    lines = done.stderr.splitlines()
    for name, job_id in ids.items():
        first = next(line for line in lines if line.startswith(f"{name}:"))
        assert first == f"{name}: job {job_id}"
        assert job_id in done.stdout


def test_a_file_that_others_drop_again_meanwhile_is_followed_to_its_own_end(
    pipeline: Pipeline, command: Command, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work_after_another_drop(_: float) -> None:
        pipeline.claim_as_of_a_while_ago()
        for job in jobs(pipeline)[:1]:
            pipeline.drop(job.key, ROME.encode(), mode="insert_only")
        pipeline.claim_as_of_a_while_ago()
        pipeline.work_off()

    monkeypatch.setattr(imports, "time", SimpleNamespace(sleep=work_after_another_drop))
    path = file("a.csv", ROME)
    (document, same) = documents(done := command("import", path, path, "--table", "customers", "--json"))
    assert (done.returncode, document["status"], document["inserted"]) == (0, "completed", 1)
    assert same == document
    assert jobs(pipeline)[-1].status is Status.SKIPPED


class TestCtrlC:
    @pytest.fixture
    def claimed(self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
        """Interrupt the command when its jobs exist and no run has taken them."""
        clock = interrupting(2)
        interrupt = clock.sleep

        def claim(seconds: float) -> None:
            pipeline.claim_as_of_a_while_ago()
            interrupt(seconds)

        clock.sleep = claim
        monkeypatch.setattr(imports, "time", clock)
        return pipeline

    @pytest.mark.parametrize("more", [[], ["--json"]], ids=["", "json"])
    def test_names_the_jobs_that_continue_and_how_to_cancel_them(
        self, claimed: Pipeline, command: Command, file: File, more: list[str]
    ) -> None:
        paths = [file("one.csv", ROME), file("two.csv", "email\ntwo@example.com\n")]
        done = command("import", *paths, "--table", "customers", *more)
        assert (done.returncode, done.stdout) == (130, "")
        for job in jobs(claimed):
            message = (
                f"job {job.id} ({job.file_name}) continues; cancel it with: bulk-pipeline cancel {job.id}"
            )
            assert message in done.stderr.splitlines()
        assert [job.status for job in jobs(claimed)] == [Status.PENDING, Status.PENDING]
        claimed.work_off()
        assert [job.status for job in jobs(claimed)] == [Status.COMPLETED, Status.COMPLETED]

    def test_names_the_place_of_a_file_without_a_job(
        self, pipeline: Pipeline, command: Command, file: File, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imports, "time", interrupting())
        done = command("import", file("one.csv", ROME), "--table", "customers")
        assert (done.returncode, done.stdout) == (130, "")
        assert done.stderr == (
            "one.csv is uploaded and will be imported; find its job with: bulk-pipeline jobs --file 'one.csv'\n"
        )
        assert jobs(pipeline) == []

    def test_on_an_export_says_the_same(
        self, pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "time", interrupting())
        done = command("export", "customers")
        (job,) = pipeline.stores.exports.newest()
        lines = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (130, "")
        assert lines[0] == f"export {job.id}"
        assert lines[-1] == f"export {job.id} continues; cancel it with: bulk-pipeline cancel {job.id}"
