"""Rejected rows that are corrected and dropped again: their first job shows what is fixed and what is still open."""

import csv
import io
from collections.abc import Callable

import psycopg
import pytest

from bulk_pipeline.ledger import import_fixes
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.origins import Origins
from bulk_pipeline_tests.rigs.pipeline import Pipeline

FILE = b"email,city\none@x.co,Oslo\ntwo,Rome\nthree,Bonn\nfour,Lyon\n"
Edit = Callable[[bytes], bytes]


def parent_of(pipeline: Pipeline, **metadata: str) -> tuple[ImportJob, bytes]:
    """Import a file, and return its job and the rejected rows."""
    job = pipeline.load("customers/march.csv", FILE, **metadata)
    return job, pipeline.report(job, "rejected.csv")


def state(pipeline: Pipeline, job: ImportJob) -> tuple[int, int, int, int]:
    """Return how many rows of the job are rejected, rejected again, fixed and open."""
    counts = pipeline.counts(job)
    return counts.rejected, counts.rejected_again, counts.fixed, counts.open


def edited(rejected: bytes, *words: str) -> bytes:
    """Make addresses of these words."""
    for word in words:
        rejected = rejected.replace(b"," + word.encode() + b",", f",{word}@x.co,".encode())
    return rejected


def rows(rejected: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rejected.decode("utf-8-sig"))))


def test_a_corrected_file_fixes_the_rows_of_the_job_that_rejected_them(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)
    assert state(pipeline, parent) == (3, 0, 0, 3)

    fix = pipeline.load("customers/any name.csv", edited(rejected, "two", "three", "four"))

    assert (fix.status, fix.parents) == (Status.COMPLETED, {parent.id: 3})
    assert state(pipeline, parent) == (3, 0, 3, 0)
    assert pipeline.stores.rejected_rows.open_rows() == []


def test_a_row_that_is_rejected_again_stays_open_in_its_first_job_only(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)

    first = pipeline.load("customers/first.csv", edited(rejected, "two"))
    again = pipeline.report(first, "rejected.csv")
    assert state(pipeline, first) == (2, 2, 0, 0)
    assert state(pipeline, parent) == (3, 0, 1, 2)
    assert [row["_origin"] for row in rows(again)] == [row["_origin"] for row in rows(rejected)[1:]]

    second = pipeline.load("customers/second.csv", edited(again, "three", "four"))
    assert (second.parents, state(pipeline, second)) == ({parent.id: 2}, (0, 0, 0, 0))
    assert state(pipeline, parent) == (3, 0, 3, 0)


def test_only_some_rows_are_dropped_again(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)
    header, two, *_ = edited(rejected, "two").splitlines(keepends=True)

    pipeline.load("customers/fix.csv", header + two)

    assert state(pipeline, parent) == (3, 0, 1, 2)
    (open_,) = pipeline.stores.rejected_rows.open_rows("customers")
    assert (open_.id, open_.file, open_.rejected, open_.fixed, open_.open) == (
        parent.id,
        "march.csv",
        3,
        1,
        2,
    )
    assert pipeline.stores.rejected_rows.open_rows("users") == []


def test_a_row_that_is_fixed_twice_counts_once(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)
    header, two, *_ = edited(rejected, "two").splitlines(keepends=True)
    pipeline.load("customers/fix.csv", header + two)

    other_address = pipeline.load("customers/fix 2.csv", header + two.replace(b"two@", b"zwei@"))
    in_table_already = pipeline.load("customers/fix 3.csv", header + two)

    assert (other_address.status, in_table_already.status) == (Status.COMPLETED, Status.FAILED)
    assert state(pipeline, in_table_already) == (1, 1, 0, 0)
    assert state(pipeline, parent) == (3, 0, 1, 2)


def test_a_copy_of_a_row_in_the_same_file_is_a_new_row(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)
    header, two, *_ = edited(rejected, "two").splitlines(keepends=True)

    fix = pipeline.load("customers/fix.csv", header + two + two.replace(b"two@x.co", b"nobody"))

    assert state(pipeline, parent) == (3, 0, 1, 2)
    assert (fix.parents, state(pipeline, fix)) == ({parent.id: 1}, (1, 0, 0, 1))
    assert [open_.id for open_ in pipeline.stores.rejected_rows.open_rows()] == [parent.id, fix.id]


def test_rows_that_were_added_are_rows_of_the_new_job(pipeline: Pipeline) -> None:
    _, rejected = parent_of(pipeline)

    fix = pipeline.load("customers/fix.csv", edited(rejected, "two") + b",,,,nobody,Nice\n")

    assert state(pipeline, fix) == (3, 2, 0, 1)
    last = rows(pipeline.report(fix, "rejected.csv"))[-1]
    assert last["_origin"].startswith(f"row4-{fix.id}-")


def test_one_file_may_fix_rows_of_several_jobs(pipeline: Pipeline) -> None:
    first, rejected = parent_of(pipeline)
    second = pipeline.load("customers/april.csv", b"email,city\nfive@x.co,Oslo\nsix,Rome\n")
    row = pipeline.report(second, "rejected.csv").splitlines(keepends=True)[1]

    fix = pipeline.load("customers/fix.csv", edited(rejected + row, "two", "six"))

    assert fix.parents == {first.id: 3, second.id: 1}
    assert (state(pipeline, first), state(pipeline, second)) == ((3, 0, 1, 2), (1, 0, 1, 0))


def test_rows_of_another_table_or_of_an_unknown_job_are_new_rows_with_a_warning(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)
    with_name = rejected.replace(b",email,city", b",email,role,name").replace(
        b",two,Rome", b",two@x.co,admin,Ann"
    )
    other_table = pipeline.load("users/fix.csv", with_name, mode="upsert")
    assert (other_table.error, other_table.parents, state(pipeline, parent)) == (None, {}, (3, 0, 0, 3))
    assert other_table.warnings == [
        f"3 rows come from job {parent.id}, which is one of customers, not of users: imported as new rows, which fix "
        "none of that job"
    ]

    pipeline.query(f"DELETE FROM bulk.import_jobs WHERE id = '{parent.id}' RETURNING id")
    gone = pipeline.load("customers/fix.csv", edited(rejected, "two"))
    assert (gone.parents, state(pipeline, gone)) == ({}, (2, 0, 0, 2))
    assert gone.warnings == [
        f"3 rows come from job {parent.id}, which is not in the ledger: imported as new rows, which fix none of that job"
    ]
    assert rows(pipeline.report(gone, "rejected.csv"))[0]["_origin"].startswith(f"row2-{gone.id}-")


def test_rows_that_were_rejected_again_become_those_of_the_new_job_when_the_first_is_gone(
    pipeline: Pipeline,
) -> None:
    parent, rejected = parent_of(pipeline)
    fix = pipeline.load("customers/fix.csv", edited(rejected, "two"))
    assert state(pipeline, fix) == (2, 2, 0, 0)

    pipeline.query(f"DELETE FROM bulk.import_jobs WHERE id = '{parent.id}' RETURNING id")

    assert state(pipeline, fix) == (2, 0, 0, 2)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda origin: origin.replace("row2-", "row3-"), id="another row"),
        pytest.param(lambda origin: origin[:-1], id="cut"),
        pytest.param(lambda origin: origin.upper(), id="upper case"),
        pytest.param(lambda origin: "", id="deleted"),
    ],
)
def test_a_damaged_origin_is_none(pipeline: Pipeline, damage: Callable[[str], str]) -> None:
    parent, rejected = parent_of(pipeline)
    origin = rows(rejected)[0]["_origin"]

    fix = pipeline.load(
        "customers/fix.csv",
        edited(rejected, "two", "three", "four").replace(origin.encode(), damage(origin).encode()),
    )

    assert (fix.status, fix.parents) == (Status.COMPLETED, {parent.id: 2})
    assert state(pipeline, parent) == (3, 0, 2, 1)


def test_a_malformed_row_keeps_its_origin(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)

    fix = pipeline.load(
        "customers/fix.csv",
        rejected.replace(b",two,Rome", b',"two,Rome').replace(b",three,", b",three@x.co,"),
    )

    assert state(pipeline, parent) == (3, 0, 1, 2)
    assert state(pipeline, fix) == (2, 2, 0, 0)
    again = pipeline.report(fix, "rejected.csv").replace(b',"two,Rome', b",two@x.co,Rome")
    assert pipeline.load("customers/fix 2.csv", edited(again, "four")).status is Status.COMPLETED
    assert state(pipeline, parent) == (3, 0, 3, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.ndjson", b'{"email":"one@x.co"}\n{"email":"two"}\n{"email":"three"}\n', id="ndjson"),
        pytest.param("a.json", b'[{"email":"one@x.co"},{"email":"two"},{"email":"three"}]', id="json"),
    ],
)
def test_objects_keep_their_origins(pipeline: Pipeline, name: str, content: bytes) -> None:
    parent = pipeline.load(f"customers/{name}", content)
    rejected = pipeline.report(parent, "rejected.ndjson")

    first = pipeline.load("customers/first.ndjson", rejected.replace(b'"two"', b'"two@x.co"'))
    assert (first.parents, state(pipeline, parent)) == ({parent.id: 2}, (2, 0, 1, 1))

    again = pipeline.report(first, "rejected.ndjson")
    pipeline.load("customers/second.ndjson", again.replace(b'"three"', b'"three@x.co"'))
    assert state(pipeline, parent) == (2, 0, 2, 0)


def test_a_file_that_is_imported_again_takes_the_place_of_its_first_job(pipeline: Pipeline) -> None:
    parent, _ = parent_of(pipeline, mode="upsert")

    retry = pipeline.stores.claims.retry(parent.id)
    pipeline.work_off()

    assert (state(pipeline, parent), state(pipeline, retry)) == ((3, 0, 0, 0), (3, 0, 0, 3))
    assert [open_.id for open_ in pipeline.stores.rejected_rows.open_rows()] == [retry.id]


def test_a_repeat_that_loads_nothing_does_not_hide_what_is_open(pipeline: Pipeline) -> None:
    parent = pipeline.load("customers/march.csv", FILE)

    repeat = pipeline.load("customers/march again.csv", FILE)

    assert (repeat.status, state(pipeline, repeat)) == (Status.FAILED, (4, 0, 0, 0))
    assert state(pipeline, parent) == (3, 0, 0, 3)


def test_a_superseded_row_is_fixed(pipeline: Pipeline) -> None:
    parent, rejected = parent_of(pipeline)

    fix = pipeline.load(
        "customers/fix.csv",
        edited(rejected, "two", "three", "four").replace(b"three@", b"two@"),
        mode="upsert",
    )

    assert pipeline.counts(fix).superseded == 1
    assert state(pipeline, parent) == (3, 0, 3, 0)


class TestInterrupted:
    """A corrected file of one row a batch, whose job is stopped with its second batch."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"bulk_batch_rows": 1, "bulk_load_connections": 1})

    @staticmethod
    def at_second_batch(monkeypatch: pytest.MonkeyPatch, act: Callable[[str], None]) -> None:
        """Let `act` be called with the job's id when the fixes of a second batch are recorded, once."""
        calls, real = list[int](), import_fixes.record

        def record(connection: psycopg.Connection, job_id: str, first_row: int, *origins: Origins) -> None:
            real(connection, job_id, first_row, *origins)
            calls.append(first_row)
            if len(calls) == 2:
                act(job_id)

        monkeypatch.setattr(import_fixes, "record", record)

    def test_a_cancelled_job_has_fixed_what_it_committed(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent, rejected = parent_of(pipeline)
        self.at_second_batch(monkeypatch, lambda job_id: pipeline.stores.leases.cancel(job_id) and None)

        fix = pipeline.load("customers/fix.csv", edited(rejected, "two", "three", "four"))

        assert (fix.status, pipeline.counts(fix).inserted) == (Status.CANCELLED, 2)
        assert state(pipeline, parent) == (3, 0, 2, 1)

    def test_an_attempt_that_breaks_off_counts_no_row_twice(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent, rejected = parent_of(pipeline)
        seen: list[tuple[int, int, int, int]] = []

        def break_off(_: str) -> None:
            seen.append(state(pipeline, parent))
            raise RuntimeError("broken off")

        self.at_second_batch(monkeypatch, break_off)

        fix = pipeline.load("customers/fix.csv", edited(rejected, "two", "four"))

        assert (fix.status, fix.attempt, seen) == (Status.COMPLETED_WITH_ERRORS, 2, [(3, 0, 1, 2)])
        assert state(pipeline, parent) == (3, 0, 2, 1)
        assert state(pipeline, fix) == (1, 1, 0, 0)
