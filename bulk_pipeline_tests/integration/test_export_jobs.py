"""Export jobs on real servers: the objects in the bucket afterwards, and the ledger."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from bulk_pipeline.errors import (
    JobFinishedError,
    LeaseHeldError,
    LeaseLostError,
    NotFoundError,
    SelectionError,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownTableError,
)
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.ledger.exports import Exports
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.leases import Lease
from bulk_pipeline.pipeline import export_run as exporting_module
from bulk_pipeline.pipeline.export_run import export_job, remove_files
from bulk_pipeline.postgres.connection import end_sessions
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.stages.export.formats import Compression, Format, compressions
from bulk_pipeline.stages.export.request import ExportRequest, Kind
from bulk_pipeline_tests.rigs.exports import Exporting

NDJSON = {"format": Format.NDJSON}


def test_an_export_is_parts_and_then_a_manifest(exporting: Exporting) -> None:
    exporting.have("c@x.co", "a@x.co", "b@x.co")
    job = exporting.ask(
        columns=("email", "city"), filters=("email != c@x.co",), order=("email desc",), rows_per_part=1
    )
    done = exporting.run(job)
    result = exporting.manifest(done)
    assert (done.status, done.attempt, done.run_id, done.total_rows) == (ExportStatus.COMPLETED, 1, "run", 2)
    today = datetime.now(UTC).date().isoformat()
    assert done.folder == f"customers/dt={today}/{done.id}/"
    assert [part["name"] for part in result["parts"]] == ["part-00000.csv", "part-00001.csv"]
    assert exporting.lines(done) == ['"b@x.co",', '"a@x.co",']
    assert result["columns"] == [{"name": "email", "type": "text"}, {"name": "city", "type": "text"}]
    assert (result["filters"], result["order"]) == (["email != 'c@x.co'"], ["email desc"])
    assert (result["kind"], result["rows"], result["table"]) == ("full", 2, "customers")
    assert result["product"].startswith("bulk-pipeline ")
    assert datetime.fromisoformat(result["snapshot_at"]).date().isoformat() == today
    assert exporting.open_uploads() == []


@pytest.mark.parametrize(
    ("format_", "compression"),
    [(format_, compression) for format_ in Format for compression in compressions(format_)],
)
def test_every_format_and_compression(
    exporting: Exporting, format_: Format, compression: Compression
) -> None:
    exporting.have_many(5_000)
    done = exporting.exported(format=format_, compression=compression, rows_per_part=2_000, prefix="a/b")
    result = exporting.manifest(done)
    assert [part["rows"] for part in result["parts"]] == [2_000, 2_000, 1_000]
    assert done.folder.startswith("a/b/customers/dt=")


def test_an_object_larger_than_a_piece_is_whole(exporting: Exporting) -> None:
    exporting.have_many(120_000)
    done = exporting.exported(columns=("city", "email"))
    assert exporting.manifest(done)["bytes"] > 2 * (8 << 20)
    assert len(exporting.lines(done)) == 120_000


@pytest.mark.parametrize("options", [{}, {"filters": ("email=nobody@x.co",)}])
def test_without_rows_there_are_no_parts(exporting: Exporting, options: dict[str, Any]) -> None:
    if options:
        exporting.have("a@x.co")
    result = exporting.manifest(exporting.exported(**options))
    assert (result["rows"], result["parts"]) == (0, [])


def test_a_column_of_nulls(exporting: Exporting) -> None:
    exporting.have("a@x.co", "b@x.co")
    assert exporting.lines(exporting.exported(columns=("phone", "city"))) == [",", ","]


def test_comments_have_their_prefix(exporting: Exporting) -> None:
    uid = "00000000-0000-0000-0000-000000000001"
    exporting.execute("INSERT INTO users (id, email, name, role) VALUES (%s, 'a@x.co', 'A', 'admin')", uid)
    exporting.execute(
        "INSERT INTO articles (id, slug, title, body, author_id, status) VALUES (%s, 's', 't', 'b', %s, 'draft')",
        uid,
        uid,
    )
    exporting.execute(
        "INSERT INTO comments (id, article_id, user_id, body) VALUES (%s, %s, %s, 'x')", uid, uid, uid
    )
    assert exporting.lines(exporting.exported("comments", columns=("id", "user_id"))) == [
        f'"cm_{uid}","{uid}"'
    ]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"table": "nobody"}, UnknownTableError, "unknown table 'nobody': expected one of"),
        ({"filters": ("age=7",)}, SelectionError, "customers has no column 'age'"),
        ({"columns": ("age",)}, SelectionError, "customers has no column 'age'"),
        ({"rows_per_part": 0}, SelectionError, "rows per part: 0 is not at least 1"),
        ({"prefix": "../x"}, SelectionError, "prefix '../x'"),
        ({"prefix": "x/"}, SelectionError, "prefix 'x/'"),
        ({"format": Format.NDJSON, "for_spreadsheets": True}, SelectionError, "for_spreadsheets is for csv"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    exporting: Exporting, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        exporting.ask(**given)
    assert exporting.stores.exports.newest() == []


def test_a_row_of_the_ledger_for_an_unknown_table_fails_with_a_sentence(exporting: Exporting) -> None:
    exporting.execute("INSERT INTO bulk.export_jobs (table_name, format) VALUES ('nobody', 'csv')")
    (job,) = exporting.stores.exports.unstarted()
    done = exporting.run(job)
    assert (done.status, done.attempt) == (ExportStatus.FAILED, 1)
    assert str(done.error).startswith("unknown table 'nobody': expected one of ")
    assert exporting.is_clean()


def test_a_table_that_was_altered_fails_the_job(exporting: Exporting) -> None:
    exporting.execute("ALTER TABLE customers DROP city")
    done = exporting.exported()
    assert done.status is ExportStatus.FAILED
    assert "city" in str(done.error)
    assert exporting.is_clean()


def test_two_exports_of_one_table_at_once_do_not_meet(exporting: Exporting) -> None:
    exporting.have("a@x.co", "b@x.co")
    first, second = exporting.ask(**NDJSON), exporting.ask(**NDJSON)
    (lease,) = exporting.stores.export_leases.take([first.id], "another")
    assert exporting.emails(exporting.run(second)) == ["a@x.co", "b@x.co"]
    exporting.stores.export_leases.release(lease, error="later")
    assert exporting.emails(exporting.run(first)) == ["a@x.co", "b@x.co"]


class TestAsking:
    def test_the_same_key_is_the_same_job_unless_nothing_came_of_it(self, exporting: Exporting) -> None:
        def ask(table: str = "customers") -> str:
            return exporting.stores.exports.ask(ExportRequest.of(table=table), idempotency_key="k").id

        first = ask()
        assert ask() == first != ask("users")
        exporting.run(exporting.stores.exports.get(first))
        assert ask() == first
        remove_files(exporting.stores, exporting.stores.exports.get(first))
        exporting.stores.exports.files_removed(first)
        second = ask()
        assert second != first
        exporting.stores.export_leases.cancel(second)
        assert ask() not in (first, second)

    def test_a_request_is_listed_until_its_run_is_requested(self, exporting: Exporting) -> None:
        job = exporting.ask()
        exports = exporting.stores.exports
        assert [entry.id for entry in exports.unstarted()] == [job.id]
        exports.requested(job.id)
        assert exports.unstarted() == []
        leases = exporting.stores.export_leases
        (overdue,) = leases.overdue(older_than=timedelta(0))
        assert overdue.id == job.id
        assert leases.forget_request(overdue)
        assert [entry.id for entry in exports.unstarted()] == [job.id]
        assert leases.overdue(older_than=timedelta(0)) == []

    def test_a_request_expires_if_no_run_begins_in_time(self, exporting: Exporting) -> None:
        exports = exporting.stores.exports
        late = exports.ask(ExportRequest.of(table="users"), expires_after=timedelta(0))
        kept = exports.ask(ExportRequest.of(table="users"), expires_after=timedelta(hours=1))
        assert [job.id for job in exports.unstarted()] == [kept.id]
        job = exports.get(late.id)
        assert (job.status, job.error) == (ExportStatus.EXPIRED, "no run began in time")
        assert exporting.run(late).status is ExportStatus.EXPIRED

    def test_newest_first_in_pages(self, exporting: Exporting) -> None:
        jobs = [exporting.ask().id for _ in range(3)]
        exports = exporting.stores.exports
        first, second = exports.newest(limit=2)
        assert [first.id, second.id] == jobs[:0:-1]
        (third,) = exports.newest(before=(second.created_at, second.id))
        assert third.id == jobs[0]
        assert exports.newest(table="users") == exports.newest(status=ExportStatus.FAILED) == []

    @pytest.mark.parametrize("job_id", ["x", "00000000-0000-0000-0000-000000000000"])
    def test_no_such_job(self, exporting: Exporting, job_id: str) -> None:
        for ask in (exporting.stores.exports.get, exporting.stores.export_leases.cancel):
            with pytest.raises(NotFoundError):
                ask(job_id)
        with pytest.raises(NotFoundError):
            export_job(exporting.stores, job_id, "run", exporting.told.append, lambda: False)


class TestCancelling:
    def test_before_it_begins(self, exporting: Exporting) -> None:
        job = exporting.ask()
        assert exporting.stores.export_leases.cancel(job.id).status is ExportStatus.CANCELLED
        assert exporting.run(job).status is ExportStatus.CANCELLED
        assert exporting.told == [f"export {job.id} is cancelled: nothing to do"]
        with pytest.raises(JobFinishedError, match="is cancelled already"):
            exporting.stores.export_leases.cancel(job.id)

    def test_while_it_is_worked_on(self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
        exporting.have_many(3_000)
        job = exporting.ask(rows_per_part=1_000)
        at_call(monkeypatch, ObjectStore, "writing", 2, lambda: exporting.stores.export_leases.cancel(job.id))
        done = exporting.run(job)
        assert (done.status, done.error) == (ExportStatus.CANCELLED, None)
        assert exporting.is_clean()

    def test_by_ending_its_run(self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
        exporting.have_many(3_000)
        job = exporting.ask(rows_per_part=1_000)
        at_call(monkeypatch, ObjectStore, "writing", 2, interrupt)
        with pytest.raises(KeyboardInterrupt):
            exporting.run(job, cancelled=True)
        assert exporting.stores.exports.get(job.id).status is ExportStatus.CANCELLED
        assert exporting.is_clean()


class TestTrouble:
    """An interrupted attempt leaves nothing behind, and the next one completes the job."""

    @pytest.fixture(autouse=True)
    def _rows(self, exporting: Exporting) -> None:
        exporting.have_many(30_000)

    def lose_postgres(self, exporting: Exporting) -> None:
        with psycopg.connect(exporting.stores.database_url) as connection:
            names = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'bulk-pipeline export%'"
            for (name,) in connection.execute(names).fetchall():
                end_sessions(connection, name)

    def test_postgres_is_lost_in_mid_export(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exporting.execute("INSERT INTO customers (email, city) SELECT 'more' || email, city FROM customers")
        exporting.execute("INSERT INTO customers (email, city) SELECT 'most' || email, city FROM customers")
        job = exporting.ask(rows_per_part=10_000)
        at_call(monkeypatch, ObjectStore, "writing", 1, lambda: self.lose_postgres(exporting))
        with pytest.raises(StoreUnavailableError):
            exporting.run(job)
        self.is_given_back_and_done(exporting, job.id, 120_000)

    def test_s3_is_lost_in_mid_part(self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
        job = exporting.ask(rows_per_part=10_000)
        broken = StoreUnavailableError("s3://exports does not answer")
        with monkeypatch.context() as patch:
            at_upload(patch, 2, broken)
            with pytest.raises(StoreUnavailableError):
                exporting.run(job)
        self.is_given_back_and_done(exporting, job.id)

    def test_the_answer_to_the_beginning_of_an_upload_is_lost(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = exporting.ask(rows_per_part=10_000)
        place = {"Bucket": exporting.bucket, "Key": f"{job.folder}part-00000.csv"}
        lost = partial(exporting.client.create_multipart_upload, **place)
        at_call(monkeypatch, ObjectStore, "writing", 1, lost)
        assert exporting.run(job).status is ExportStatus.COMPLETED
        assert exporting.open_uploads() == []

    def test_a_bug(self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
        job = exporting.ask(rows_per_part=10_000)
        with monkeypatch.context() as patch:
            at_call(patch, ObjectStore, "put", 1, lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                exporting.run(job)
        self.is_given_back_and_done(exporting, job.id)

    def is_given_back_and_done(self, exporting: Exporting, job_id: str, rows: int = 30_000) -> None:
        job = exporting.stores.exports.get(job_id)
        assert (job.status, job.attempt) == (ExportStatus.PROCESSING, 1)
        assert exporting.execute("SELECT job_id FROM bulk.job_leases") == []
        assert job.error
        assert exporting.is_clean()
        done = exporting.run(job, "another run")
        assert (done.status, done.attempt, done.error) == (ExportStatus.COMPLETED, 2, None)
        assert exporting.manifest(done)["rows"] == rows

    def test_a_full_bucket_fails_the_job(self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
        job = exporting.ask(rows_per_part=10_000)
        at_upload(monkeypatch, 2, StoreRefusedError("s3://exports: QuotaExceeded"))
        done = exporting.run(job)
        assert (done.status, done.error) == (ExportStatus.FAILED, "s3://exports: QuotaExceeded")
        assert exporting.is_clean()

    def test_after_the_last_attempt_it_has_failed(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = exporting.ask()
        at_upload(monkeypatch, None, StoreUnavailableError("s3 is away"))
        for _ in range(exporting.stores.settings.bulk_max_attempts):
            with pytest.raises(StoreUnavailableError):
                exporting.run(job)
        done = exporting.stores.exports.get(job.id)
        assert (done.status, done.error) == (ExportStatus.FAILED, "gave up after 5 attempts: s3 is away")


class TestLeases:
    def test_a_job_is_not_taken_from_a_live_run(self, exporting: Exporting) -> None:
        job = exporting.ask()
        assert len(exporting.stores.export_leases.take([job.id], "run-1")) == 1
        with pytest.raises(LeaseHeldError, match="worked on by run run-1"):
            exporting.run(job, "run-2")
        assert exporting.stores.export_leases.expired() == []

    def test_a_run_that_wakes_up_after_it_was_given_up_changes_nothing(self, exporting: Exporting) -> None:
        exporting.have("a@x.co")
        leases = exporting.stores.export_leases
        (lease,) = leases.take([exporting.ask(**NDJSON).id], "slow")
        slow = lease.job
        upload = exporting.stores.objects.writing(
            exporting.bucket, f"{slow.folder}part-00000.ndjson", content_type="x", may_complete=lambda: None
        )
        sink = upload.__enter__()
        sink.write(b"of the slow one")
        exporting.silence(slow)
        assert [expired.job_id for expired in leases.expired()] == [slow.id]
        assert leases.reap(lease, error="silent") is not None
        assert leases.reap(lease, error="silent") is None
        done = exporting.run(slow, "another")

        for act in (
            lambda: Heartbeat(leases, [lease], seconds=1).confirm(slow.id),
            lambda: exporting.stores.exports.finish(slow, {}),
            lambda: exporting.stores.exports.fail(slow, "x"),
        ):
            with pytest.raises(LeaseLostError):
                act()
        with pytest.raises(NotFoundError):
            upload.__exit__(None, None, None)
        assert exporting.emails(done) == ["a@x.co"]

    def silent(self, exporting: Exporting, job: ExportJob, run_id: str) -> Lease[ExportJob]:
        """Return the lease of a dead run, which is reaped."""
        leases = exporting.stores.export_leases
        (lease,) = leases.take([job.id], run_id)
        exporting.silence(job)
        assert leases.reap(lease, error="silent") is not None
        return lease

    def test_a_run_that_wakes_up_after_the_last_attempt_completes_no_file(self, exporting: Exporting) -> None:
        leases, job = exporting.stores.export_leases, exporting.ask()
        attempts = [f"run-{number}" for number in range(exporting.stores.settings.bulk_max_attempts)]
        *_, lease = [self.silent(exporting, job, run_id) for run_id in attempts]
        assert exporting.stores.exports.get(job.id).status is ExportStatus.FAILED
        with pytest.raises(LeaseLostError):
            Heartbeat(leases, [lease], seconds=1).confirm(job.id)
        with pytest.raises(LeaseLostError):
            exporting.stores.exports.fail(lease.job, "x")

    @pytest.mark.parametrize("at", ["parts", "manifest", "end"])
    def test_a_job_whose_row_is_gone_leaves_nothing(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch, at: str
    ) -> None:
        exporting.have("a@example.com")
        job = exporting.ask()
        owner, name = {
            "parts": (exporting_module, "write_parts"),
            "manifest": (Heartbeat, "confirm"),
            "end": (Exports, "finish"),
        }[at]
        function = getattr(owner, name)

        def truncating(*args: Any, **kwargs: Any) -> Any:
            exporting.execute("TRUNCATE bulk.export_jobs CASCADE")
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, truncating)
        with pytest.raises(LeaseLostError):
            exporting.run(job)
        assert exporting.is_clean()

    def test_progress_is_seen_while_it_works(self, exporting: Exporting) -> None:
        (lease,) = exporting.stores.export_leases.take([exporting.ask().id], "run")
        exporting.stores.exports.note_progress(lease.job, 10, 100)
        job = exporting.stores.exports.get(lease.job_id)
        assert (job.rows_written, job.bytes_written, job.status) == (10, 100, ExportStatus.PROCESSING)

    def test_a_lost_answer_to_the_last_commit_changes_nothing(
        self, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exporting.have("a@x.co")
        job = exporting.ask(**NDJSON)
        with monkeypatch.context() as patch:
            after_call(patch, Exports, "finish", StoreUnavailableError("the answer is lost"))
            with pytest.raises(StoreUnavailableError):
                exporting.run(job)
        done = exporting.stores.exports.get(job.id)
        assert done.status is ExportStatus.COMPLETED
        assert exporting.emails(done) == ["a@x.co"]


class TestIncremental:
    def test_only_changed_rows(self, exporting: Exporting) -> None:
        exporting.have("old@x.co", "changed@x.co")
        options = {**NDJSON, "kind": Kind.INCREMENTAL}
        first = exporting.exported(**options)
        assert (exporting.manifest(first)["kind"], len(exporting.emails(first))) == ("full", 2)
        exporting.execute("UPDATE customers SET city = 'Lund' WHERE email = 'changed@x.co'")
        exporting.have("new@x.co")
        second = exporting.exported(**options)
        assert exporting.emails(second) == ["changed@x.co", "new@x.co"]
        result = exporting.manifest(second)
        assert (result["kind"], result["since"]) == ("incremental", exporting.manifest(first)["watermark"])
        assert exporting.emails(exporting.exported(**options)) == []

    def test_a_transaction_that_commits_after_the_export_is_in_the_next_one(
        self, exporting: Exporting
    ) -> None:
        exporting.have("a@x.co", "b@x.co")
        options = {**NDJSON, "kind": Kind.INCREMENTAL}
        with psycopg.connect(exporting.stores.database_url) as slow:
            slow.execute("UPDATE customers SET city = 'Lund', updated_at = now() WHERE email = 'a@x.co'")
            exporting.exported(**options)
            slow.commit()
        later = exporting.exported(**options)
        assert exporting.emails(later) == ["a@x.co"]
        assert json.loads(exporting.lines(later)[0])["city"] == "Lund"

    def test_it_follows_the_last_one_with_the_same_request(self, exporting: Exporting) -> None:
        exporting.have("a@x.co")
        exporting.exported(format=Format.CSV)
        exporting.exported(**NDJSON, filters=("email=a@x.co",))
        failed = exporting.ask(**NDJSON)
        exporting.stores.export_leases.cancel(failed.id)
        assert exporting.emails(exporting.exported(**NDJSON, kind=Kind.INCREMENTAL)) == ["a@x.co"]
        assert exporting.emails(exporting.exported(**NDJSON, kind=Kind.INCREMENTAL)) == []

    def test_rows_that_are_gone(self, exporting: Exporting) -> None:
        exporting.execute("SELECT bulk.record_deletions('customers')")
        exporting.have("a@x.co", "b@x.co")
        options = {**NDJSON, "kind": Kind.INCREMENTAL}
        assert exporting.manifest(exporting.exported(**options))["deleted"] is None
        ((gone,),) = exporting.execute("DELETE FROM customers WHERE email = 'a@x.co' RETURNING id")
        done = exporting.exported(**options)
        deleted = exporting.manifest(done)["deleted"]
        assert (deleted["name"], deleted["rows"]) == ("deleted-00000.ndjson", 1)
        assert json.loads(exporting.file(done.folder + deleted["name"]))["id"] == str(gone)


class TestRetention:
    def aged(self, exporting: Exporting, **kwargs: Any) -> str:
        done = exporting.exported(**kwargs)
        exporting.execute(
            "UPDATE bulk.export_jobs SET finished_at = finished_at - interval '40 days' WHERE id = %s",
            done.id,
        )
        return done.id

    def test_exports_replaced_by_a_later_full_one_are_removed(self, exporting: Exporting) -> None:
        incremental = {"kind": Kind.INCREMENTAL}
        replaced = [self.aged(exporting), self.aged(exporting, **incremental)]
        kept = [
            self.aged(exporting),
            self.aged(exporting, **incremental),
            self.aged(exporting, format=Format.NDJSON),
        ]
        old = exporting.stores.exports.past_retention(timedelta(days=30))
        assert [job.id for job in old] == replaced
        assert kept
        assert exporting.stores.exports.past_retention(timedelta(days=50)) == []


def test_a_folder_has_the_requested_day(exporting: Exporting) -> None:
    job = exporting.stores.exports.ask(ExportRequest.of(table="users"), partition_date=date(2026, 1, 31))
    assert job.folder == f"users/dt=2026-01-31/{job.id}/"


def interrupt() -> None:
    raise KeyboardInterrupt


def at_call(
    patch: pytest.MonkeyPatch, owner: type, name: str, number: int, act: Callable[[], object]
) -> None:
    """Run an action just before the call of this number."""
    original, calls = getattr(owner, name), 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return original(*args, **kwargs)

    patch.setattr(owner, name, replaced)


def after_call(patch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        raise error

    patch.setattr(owner, name, replaced)


def at_upload(patch: pytest.MonkeyPatch, number: int | None, error: Exception) -> None:
    """Let the sending of one piece, or of all, fail."""
    from bulk_pipeline.s3.writer import ObjectWriter

    original, calls = ObjectWriter.send_piece, 0

    def replaced(self: ObjectWriter, at: int, piece: bytearray) -> Any:
        nonlocal calls
        calls += 1
        if number in (None, calls):
            raise error
        return original(self, at, piece)

    patch.setattr(ObjectWriter, "send_piece", replaced)
