"""`jobs`, `job`, `errors`, `retry` and `cancel`: finding and managing jobs."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline

GOOD = b"email\ngood@example.com\n"
REJECTED = b"email\nfine@example.com\nnobody\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64


def ids(done: CompletedProcess[str]) -> list[str]:
    return [document["id"] for document in json.loads(done.stdout)]


def taken_in(pipeline: Pipeline, key: str, content: bytes = GOOD, **metadata: str) -> ImportJob:
    """Return the pending job of a file."""
    pipeline.drop(key, content, **metadata)
    pipeline.claim_as_of_a_while_ago()
    return pipeline.job(key)


def with_id(pipeline: Pipeline, job: ImportJob, job_id: str) -> str:
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.import_jobs SET id = %s WHERE id = %s", (job_id, job.id))
    return job_id


class TestErrors:
    def test_of_a_job_with_rejected_rows_are_its_report(self, pipeline: Pipeline, command: Command) -> None:
        job = pipeline.load("customers/a.csv", REJECTED)
        done = command("errors", job.id)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            'row,error,raw\n2,"email \'nobody\' is not an address like local@domain.tld","nobody"\n'
        )

    def test_go_to_a_file_completely_or_not_at_all(
        self, pipeline: Pipeline, command: Command, tmp_path: Path
    ) -> None:
        job = pipeline.load("customers/a.csv", REJECTED)
        folder = tmp_path / "reports"
        folder.mkdir()
        out = folder / "errors.csv"
        done = command("errors", job.id, "-o", str(out))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {out}\n")
        assert out.read_bytes() == pipeline.report(job, "errors.csv")
        assert [path.name for path in folder.iterdir()] == ["errors.csv"]
        refused = command("errors", job.id, "-o", str(folder))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"error: cannot write {folder}: it is a folder\n"

    @pytest.mark.parametrize("words", [["errors"], ["errors", "last"]], ids=["no id", "last"])
    def test_of_the_newest_job_that_has_some_need_no_id(
        self, pipeline: Pipeline, command: Command, words: list[str]
    ) -> None:
        pipeline.load("customers/older.csv", b"email\nolder\n")
        job = pipeline.load("customers/bad.csv", REJECTED)
        pipeline.load("customers/good.csv", GOOD)
        done = command(*words)
        assert (done.returncode, done.stdout) == (0, pipeline.report(job, "errors.csv").decode())
        assert done.stderr == f"job {job.id} (bad.csv): completed_with_errors\n"
        fix_me = command(*words, "--format", "rejected")
        assert fix_me.stdout == pipeline.report(job, "rejected.csv").decode()

    @pytest.mark.parametrize("is_last", [False, True])
    def test_of_a_job_that_failed_as_a_whole_are_its_own_error(
        self, pipeline: Pipeline, command: Command, is_last: bool
    ) -> None:
        job = pipeline.load("customers/photo.csv", PNG)
        assert job.error is not None
        done = command("errors", "last" if is_last else job.id)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith(f"error: job {job.id} (photo.csv) failed: {job.error}\n")

    def test_of_a_job_without_any_say_so(self, pipeline: Pipeline, command: Command) -> None:
        job = pipeline.load("customers/good.csv", GOOD)
        done = command("errors", job.id)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: job {job.id} (good.csv) is completed and has no report: no row was rejected\n"
        )
        done = command("errors")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: no job has errors: no file failed, and no row was rejected\n"

    def test_of_a_skipped_job_name_the_job_that_imported_the_file(
        self, pipeline: Pipeline, command: Command
    ) -> None:
        first, skipped = (pipeline.load("customers/good.csv", GOOD) for _ in range(2))
        done = command("errors", skipped.id)
        assert (done.returncode, done.stdout) == (1, "")
        assert first.id in done.stderr

    def test_with_an_expired_report_say_so(self, pipeline: Pipeline, command: Command) -> None:
        job = pipeline.load("customers/a.csv", REJECTED)
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("UPDATE bulk.import_jobs SET reports = '{}'")
        done = command("errors", job.id)
        assert done.stderr == (
            f"error: job {job.id} (a.csv) is completed_with_errors, and its report has expired\n"
        )


class TestList:
    def test_it_shows_times_and_errors(self, pipeline: Pipeline, command: Command) -> None:
        job = pipeline.load("customers/photo.csv", PNG)
        arrived, finished = job.arrived_at.astimezone(), (job.finished_at or datetime.now(UTC)).astimezone()
        shown = command("jobs").stdout
        assert f"{arrived:%Y-%m-%d %H:%M:%S}" in shown
        assert f"{finished:%Y-%m-%d %H:%M:%S}" in shown
        assert f"{job.id} photo.csv: {job.error}" in shown.splitlines()

    @pytest.mark.parametrize("columns", ["80", "120"])
    def test_on_a_terminal_ids_are_short_and_a_line_is_a_job(
        self, pipeline: Pipeline, command: Command, columns: str
    ) -> None:
        photo, good = pipeline.load("customers/photo.csv", PNG), pipeline.load("customers/good.csv", GOOD)
        shown = command("jobs", FORCE_COLOR="1", TERM="xterm", COLUMNS=columns).stdout
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert len(lines) == 4
        assert all(len(line) <= int(columns) for line in lines[:3])
        assert [line.split()[0] for line in lines[1:]] == [good.id[-8:], photo.id[-8:], photo.id[-8:]]
        arrived = good.arrived_at.astimezone()
        assert f"{arrived:%H:%M:%S}" in lines[1]
        assert command("job", photo.id[-8:], "--json").returncode == 0

    def test_it_can_be_searched_by_file(self, pipeline: Pipeline, command: Command) -> None:
        march, april, upsert = (
            f"customers/{name}" for name in ("march.csv", "april.ndjson", "upsert/March_2.csv")
        )
        for key in (march, april, upsert):
            taken_in(pipeline, key, key.encode())
        expected = {
            "march": [upsert, march],
            "march.csv": [march],
            "march*": [upsert, march],
            "*.ndjson": [april],
            "march?.csv": [],
            "march_": [upsert],
            "%": [],
            "upsert": [],
            "upsert/": [upsert],
        }
        result = {file: json.loads(command("jobs", "--file", file, "--json").stdout) for file in expected}
        assert {file: [document["key"] for document in some] for file, some in result.items()} == expected

    def test_it_can_be_searched_by_age_and_date(self, pipeline: Pipeline, command: Command) -> None:
        old, new = (taken_in(pipeline, f"customers/{name}.csv", name.encode()) for name in ("old", "new"))
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute(
                "UPDATE bulk.import_jobs SET created_at = created_at - interval '3 h' WHERE id = %s",
                (old.id,),
            )
        assert ids(command("jobs", "--since", "2h", "--json")) == [new.id]
        assert ids(command("jobs", "--since", "4h", "--json")) == [new.id, old.id]
        tomorrow = datetime.now(UTC).astimezone() + timedelta(days=1)
        assert ids(command("jobs", "--since", f"{tomorrow:%Y-%m-%d}", "--json")) == []
        refused = command("jobs", "--since", "soon")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "'soon' is neither an age like 30m" in " ".join(refused.stderr.replace("│", " ").split())


class TestIds:
    def test_the_beginning_or_the_end_of_an_id_is_enough(self, pipeline: Pipeline, command: Command) -> None:
        job = taken_in(pipeline, "customers/a.csv")
        digits = job.id.replace("-", "")
        for part in (job.id, job.id.upper(), digits, job.id[:13], digits[:20], job.id[-4:], job.id[-12:]):
            done = command("job", part, "--json")
            assert (done.returncode, json.loads(done.stdout)["id"]) == (0, job.id), part

    def test_if_several_jobs_fit_they_are_listed(self, pipeline: Pipeline, command: Command) -> None:
        one, other = (
            with_id(
                pipeline,
                taken_in(pipeline, f"customers/{n}.csv", n.encode()),
                f"01a2{n * 4}-0000-7000-8000-00000000{n * 4}",
            )
            for n in "bc"
        )
        done = command("job", "01a2")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "error: several jobs fit '01a2', give more of the id: "
            f"{other} (c.csv, pending); {one} (b.csv, pending)\n"
        )
        assert json.loads(command("job", "01a2b", "--json").stdout)["id"] == one
        assert json.loads(command("job", "cccc", "--json").stdout)["id"] == other

    @pytest.mark.parametrize("name", ["job", "errors", "retry", "cancel"])
    def test_a_part_that_fits_no_job_is_one_sentence(
        self, pipeline: Pipeline, command: Command, name: str
    ) -> None:
        taken_in(pipeline, "customers/a.csv")
        for part in (
            "abc",
            "no-such-job",
            "",
            "%",
            "deadbeef",
            "a" * 33,
            "00000000-0000-7000-8000-000000000000",
        ):
            done = command(name, part)
            assert (done.returncode, done.stdout) == (1, ""), part
            assert done.stderr.startswith("error: no job"), part
            assert done.stderr.count("\n") == 1, part

    def test_cancel_and_retry_take_them(self, pipeline: Pipeline, command: Command) -> None:
        job = taken_in(pipeline, "customers/a.csv")
        assert command("cancel", job.id[-8:]).returncode == 0
        assert pipeline.job("customers/a.csv").status is Status.CANCELLED
        again = json.loads(command("retry", job.id[-8:], "--json").stdout)
        assert again["retry_of"] == job.id

    def test_exports_have_them_too(self, pipeline: Pipeline, command: Command) -> None:
        export = pipeline.stores.exports.ask(ExportRequest.of(table="customers"))
        part = export.id[-8:]
        assert json.loads(command("export-status", part, "--json").stdout)["id"] == export.id
        assert "no job" in command("job", part).stderr
        assert "cancelled before it started" in command("cancel", part).stdout
        missing = command("export-status", "deadbeef")
        assert (missing.returncode, missing.stderr) == (1, "error: no export deadbeef\n")

    def test_last_is_the_newest(self, pipeline: Pipeline, command: Command) -> None:
        for words, kind in ((("job", "last"), "job"), (("export-status", "last"), "export")):
            none = command(*words)
            assert (none.returncode, none.stderr) == (1, f"error: there is no {kind} yet\n")
        older = taken_in(pipeline, "customers/older.csv", b"email\nolder\n")
        export = pipeline.stores.exports.ask(ExportRequest.of(table="customers"))
        assert "cancelled before it started" in command("cancel", "last").stdout
        assert json.loads(command("job", "last", "--json").stdout)["id"] == older.id
        newer = taken_in(pipeline, "customers/newer.csv")
        assert json.loads(command("job", "last", "--json").stdout)["id"] == newer.id
        assert (
            command("cancel", "last").stdout == "cancelled before any row was loaded: customers/newer.csv\n"
        )
        assert json.loads(command("retry", "last", "--json").stdout)["retry_of"] == newer.id
        assert json.loads(command("export-status", "last", "--json").stdout)["id"] == export.id


def test_exports_are_listed_with_their_errors_and_times(pipeline: Pipeline, command: Command) -> None:
    export = pipeline.stores.exports.ask(ExportRequest.of(table="customers"))
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(
            "UPDATE bulk.export_jobs SET status = 'failed', error = 'the bucket is full', finished_at = now()"
        )
    shown = command("exports").stdout
    assert f"{export.id} customers: the bucket is full" in shown.splitlines()
    assert f"{export.created_at.astimezone():%Y-%m-%d %H:%M:%S}" in shown
    assert ids(command("exports", "--since", "1h", "--json")) == [export.id]


class TestOpen:
    def test_lists_jobs_with_rejected_rows_until_they_are_fixed(
        self, pipeline: Pipeline, command: Command
    ) -> None:
        job = pipeline.load("customers/a.csv", b"email\nfine@example.com\nnobody\nnoone\n")
        done = command("open")
        assert (done.returncode, done.stderr) == (3, "")
        header, row, total, hint = done.stdout.splitlines()
        assert header.split() == ["id", "table", "file", "finished", "rejected", "fixed", "open"]
        assert (row.split()[:3], row.split()[-3:]) == ([job.id, "customers", "a.csv"], ["2", "0", "2"])
        assert total == "customers: 2 open in 1 file"
        assert hint == "get the rows of a file with: bulk-pipeline errors ID --format rejected -o fix-me.csv"
        rejected = pipeline.report(job, "rejected.csv")

        pipeline.load("customers/b.csv", rejected.replace(b"nobody", b"nobody@example.com"))
        done = command("open", "--table", "customers", "--json")
        (document,) = json.loads(done.stdout)
        assert (done.returncode, document["id"], document["fixed"], document["open"]) == (3, job.id, 1, 1)
        facts = json.loads(command("job", job.id, "--json").stdout)
        assert [facts[name] for name in ("rejected", "rejected_again", "fixed", "open")] == [2, 0, 1, 1]

        pipeline.load("customers/c.csv", rejected.replace(b"noone", b"noone@example.com"))
        done = command("open")
        assert (done.returncode, done.stdout) == (0, "nothing is open: each rejected row has been fixed\n")
        assert json.loads(command("open", "--json").stdout) == []
