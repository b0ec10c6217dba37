"""Interrupted loads: each range is committed once, and the result is that of an undisturbed load."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from bulk_pipeline.errors import JobCancelledError, JobGoneError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.row_store import BatchWriter, Range, RangeOutcome
from bulk_pipeline_tests.rigs.loading import Loading, Row, counts, uid
from bulk_pipeline_tests.rigs.lossy_proxy import lossy


class Died(Exception):
    """The worker died between two batches."""


def person(number: int, email: str, name: str) -> Row:
    return {"id": uid(number), "email": email, "name": name, "role": "admin"}


TABLE = [person(number, f"{number}@b.cd", "Old") for number in range(1, 6)]
FILE: list[Row | None] = [
    person(1, "1@b.cd", "New"),  # in the table
    person(6, "6@b.cd", "New"),
    None,
    person(2, "x@b.cd", "New"),  # 2 gives its key to 7
    person(7, "2@b.cd", "New"),
    person(6, "6@b.cd", "Newer"),  # overwrites row 2
    person(3, "4@b.cd", "New"),  # belongs to 4
    person(2, "y@b.cd", "Newer"),  # overwrites row 4
    person(8, "6@b.cd", "New"),  # belongs to 6
    person(5, "5@b.cd", "Old"),  # as it is
]
EXPECTED = {
    Mode.INSERT_ONLY: counts("1 inserted, 9 rejected"),
    Mode.UPSERT: counts("2 inserted, 2 updated, 1 unchanged, 2 superseded, 3 rejected"),
}
# What `split` would have rejected in insert_only: rows 6 and 8 repeat an id, row 9 an email.
INSERTED = [None if row in (6, 8, 9) else record for row, record in enumerate(FILE, 1)]


@pytest.fixture(params=Mode)
def users(database_url: str, request: pytest.FixtureRequest) -> Loading:
    loading = Loading(database_url, "users", request.param, batch_rows=2)
    loading.have(*TABLE)
    return loading


def file(loading: Loading) -> list[Row | None]:
    return INSERTED if loading.mode.rules.rejects_repeated_keys else FILE


def dying_after(batches: int) -> Callable[[LoadCounts], None]:
    def progress(so_far: LoadCounts) -> None:
        if so_far.processed >= 2 * batches:
            raise Died

    return progress


def outcome(loading: Loading) -> tuple[list, list, list]:
    """Return the table, the ranges and the failures."""
    ranges = [(first, last, *rest) for first, last, _, *rest in loading.batches_in()]
    return loading.content("id", "email", "name"), ranges, loading.failures("row", "message")


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
def test_a_resumed_load_ends_like_an_uninterrupted_one(users: Loading, batches: int) -> None:
    easy = users.anew()
    assert easy.load(*file(users)) == EXPECTED[users.mode]
    expected = outcome(easy)
    users.execute("TRUNCATE users CASCADE")
    users.have(*TABLE)

    job = users.anew()
    with pytest.raises(Died):
        job.load(*file(users), progress=dying_after(batches))
    assert len(job.batches_in()) == batches
    assert job.take_over().load(*file(users)) == EXPECTED[users.mode]
    assert outcome(job) == expected


def test_a_range_that_is_in_is_not_searched_again(users: Loading) -> None:
    job = users.anew()
    with pytest.raises(Died):
        job.load(*file(users), progress=dying_after(3))
    before = job.execute("SELECT ctid::text, xmin::text, email FROM users ORDER BY email")
    job.execute("UPDATE users SET name = 'Somebody else' WHERE id = %s", [uid(1)])
    job.take_over().load(*file(users))
    assert job.row(id=uid(1))["name"] == "Somebody else"
    after = job.execute("SELECT ctid::text, xmin::text, email FROM users ORDER BY email")
    assert len(set(before) & set(after)) >= 4


def test_a_worker_whose_job_was_taken_over_writes_nothing(users: Loading) -> None:
    job = users.anew()
    seen = []

    def taken_over(so_far: LoadCounts) -> None:
        seen.append(so_far)
        job.take_over()

    with pytest.raises(LeaseLostError):
        job.load(*file(users), progress=taken_over)
    assert len(seen) == len(job.batches_in()) == 1


def test_a_worker_of_an_old_attempt_does_not_even_start(users: Loading) -> None:
    job = users.anew().start()
    job.take_over()
    with pytest.raises(LeaseLostError):
        job.load(*file(users))
    assert job.batches_in() == []
    assert len(job.content("id")) == len(TABLE)


def test_a_cancelled_job_keeps_what_is_in_and_stops(users: Loading) -> None:
    job = users.anew()

    def cancel(so_far: LoadCounts) -> None:
        if so_far.processed == 4:
            job.execute("UPDATE bulk.import_jobs SET cancel_requested_at = now() WHERE id = %s", [job.job_id])

    with pytest.raises(JobCancelledError):
        job.load(*file(users), progress=cancel)
    assert len(job.batches_in()) == 2


def test_a_takeover_waits_for_the_batch_that_is_being_written(users: Loading) -> None:
    job = users.anew().start()

    def take_over(writer: BatchWriter) -> RangeOutcome:
        with (
            psycopg.connect(job.database_url, options="-c lock_timeout=100ms") as other,
            pytest.raises(psycopg.errors.LockNotAvailable),
        ):
            other.execute("SELECT FROM bulk.import_jobs WHERE id = %s FOR UPDATE", [job.job_id])
        raise Died

    with job.store() as store, pytest.raises(Died):
        store.settle(Range(1, 2), take_over)
    assert job.batches_in() == []


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_lost_answer_to_commit_is_looked_up(users: Loading, lost: int) -> None:
    easy = users.anew()
    easy.load(*file(users))
    expected = outcome(easy)
    users.execute("TRUNCATE users CASCADE")
    users.have(*TABLE)

    job = users.anew().start()
    with lossy(job.database_url, lost) as network:
        through = replace(job, database_url=network.database_url)
        with through.store() as store:
            assert through.load_with(store, file(users)) == EXPECTED[users.mode]
        assert network.commits >= (7 if users.mode == "upsert" else 5)  # a search takes two of them or more
    assert outcome(job) == expected


def test_an_outage_between_batches_is_survived(users: Loading) -> None:
    job = users.anew()

    def kill(so_far: LoadCounts) -> None:
        job.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bulk-pipeline%'"
            " AND datname = current_database()"
        )

    assert job.load(*file(users), progress=kill) == EXPECTED[users.mode]
    assert len(job.batches_in()) == 5


def test_a_connection_that_was_given_up_cannot_commit_any_more(users: Loading) -> None:
    """The server may continue a transaction whose client is gone, and commit it later."""
    job = users.anew().start()
    users.execute(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.first_row = 3 THEN PERFORM pg_sleep(0.5); END IF; RETURN new; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON bulk.import_batches
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
        """
    )
    commits = {Mode.INSERT_ONLY: 4, Mode.UPSERT: 8}[users.mode]
    with lossy(job.database_url, commits) as network:
        through = replace(job, database_url=network.database_url)
        with through.store() as store:
            assert through.load_with(store, file(users)) == EXPECTED[users.mode]
    assert len(job.batches_in()) == 5


def test_an_outage_that_lasts_is_one(users: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_pipeline.rows.row_store._RECOVERY_SECONDS", (0.01,))
    job = users.anew().start()
    with lossy(job.database_url) as network:
        through = replace(job, database_url=network.database_url)
        with through.store() as store, pytest.raises(StoreUnavailableError):
            through.load_with(store, file(users), progress=lambda so_far: network.close())
    assert len(job.batches_in()) == 1
    assert job.take_over().load(*file(users)) == EXPECTED[users.mode]


def test_a_job_that_is_not_in_the_ledger_loads_nothing(users: Loading) -> None:
    with users.anew().store() as store, pytest.raises(JobGoneError):
        users.load_with(store, file(users))
