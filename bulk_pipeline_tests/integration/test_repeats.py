"""Repeated uploads and repeated runs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bulk_pipeline.errors import LeaseHeldError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.job_hold import JobHold
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

KEY = "customers/a.csv"
GOOD = b"email\na@example.com\nb@example.com\n"
BROKEN = b""


def test_the_same_object_again_is_a_skipped_job_that_names_the_first(pipeline: Pipeline) -> None:
    first = pipeline.load(KEY, GOOD)
    again = pipeline.load(KEY, GOOD)
    assert (again.status, again.first_job_id, again.run_id) == (Status.SKIPPED, first.id, None)
    assert (pipeline.inbox(), pipeline.query("SELECT count(*) FROM customers")) == ([], [(2,)])


def test_a_process_without_memory_skips_it_too(pipeline: Pipeline) -> None:
    first = pipeline.load(KEY, GOOD)
    stores = Stores(pipeline.stores.settings)
    again = Pipeline(stores, pipeline.instance).load(KEY, GOOD)
    stores.close()
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)


def test_other_bytes_under_the_same_key_are_imported(pipeline: Pipeline) -> None:
    pipeline.load(KEY, GOOD)
    again = pipeline.load(KEY, b"email\nc@example.com\n")
    assert (again.status, pipeline.counts(again)) == (Status.COMPLETED, Counts(total=1, inserted=1))


def test_the_same_object_is_tried_again_if_rows_of_it_were_rejected(pipeline: Pipeline) -> None:
    comment = b"id,article_id,user_id,body\n" + b",".join([uid(1), uid(2), uid(3), b"well said\n"])
    first = pipeline.load("comments/c.csv", comment)
    assert first.failure_counts == {"unknown_reference": 2}
    user = b"id,email,name,role\n" + uid(3) + b",a@example.com,Ada,reader\n"
    article = b"id,slug,title,body,author_id,status\n" + b",".join([uid(2), b"a,A,B", uid(3), b"draft\n"])
    pipeline.load("users/u.csv", user)
    pipeline.load("articles/a.csv", article)
    again = pipeline.load("comments/c.csv", comment)
    assert (again.status, again.retry_of) == (Status.COMPLETED, first.id)


def test_a_run_repeated_for_a_failed_job_imports_its_file_as_a_new_one(pipeline: Pipeline) -> None:
    failed = pipeline.load(KEY, BROKEN)
    with repeated_run(pipeline) as worker:
        (again,) = worker.take(worker.to_take([failed.id]))
        assert (again.id != failed.id, again.retry_of, again.run_id) == (True, failed.id, "repeat")


def test_a_run_repeated_for_a_finished_job_has_nothing_to_do(pipeline: Pipeline) -> None:
    done = pipeline.load(KEY, GOOD)
    with repeated_run(pipeline) as worker:
        assert worker.take(worker.to_take([done.id])) == []
    assert pipeline.job(KEY) == done


def test_a_run_repeated_for_a_running_job_is_refused_and_does_no_harm(pipeline: Pipeline) -> None:
    job = dropped(pipeline)
    (lease,) = pipeline.stores.leases.take([job.id], "original")
    with (
        repeated_run(pipeline) as worker,
        pytest.raises(LeaseHeldError, match=f"job {job.id} is being worked on by run original"),
    ):
        worker.take(worker.to_take([job.id]))
    assert pipeline.stores.leases.take([job.id], "original") == [lease]


def test_a_run_repeated_for_a_running_job_does_not_wait_for_the_batch_that_is_being_committed(
    pipeline: Pipeline,
) -> None:
    job = dropped(pipeline)
    pipeline.stores.leases.take([job.id], "original")
    with psycopg.connect(pipeline.stores.database_url) as batch, repeated_run(pipeline) as worker:
        batch.execute("SELECT FROM bulk.import_jobs WHERE id = %s FOR KEY SHARE", [job.id])
        with pytest.raises(LeaseHeldError):
            worker.take(worker.to_take([job.id]))


def test_a_repeated_run_does_not_overtake_other_files_of_the_table(pipeline: Pipeline) -> None:
    failed = pipeline.load(KEY, BROKEN)
    pipeline.stores.leases.take([dropped(pipeline).id], "busy")
    with repeated_run(pipeline) as worker:
        assert worker.to_take([failed.id]) == []
    assert is_left_to_the_sensor(pipeline, failed)


def test_failed_jobs_are_imported_again_even_if_only_later_steps_are_repeated(pipeline: Pipeline) -> None:
    failed = pipeline.load(KEY, BROKEN)
    with repeated_run(pipeline, starts_over=False) as worker:
        assert worker.to_take([failed.id]) == []
    assert is_left_to_the_sensor(pipeline, failed)


def test_a_run_that_is_repeated_twice_at_once_works_on_one_new_job(pipeline: Pipeline) -> None:
    failed = pipeline.load(KEY, BROKEN)
    with repeated_run(pipeline) as worker, repeated_run(pipeline, "another") as other:
        assert [len(worker.to_take([failed.id])), len(other.to_take([failed.id]))] == [1, 0]
    assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(2,)]


@contextmanager
def repeated_run(
    pipeline: Pipeline, run_id: str = "repeat", *, starts_over: bool = True
) -> Iterator[JobHold]:
    """Return the hold of a run that was re-executed in the UI."""
    with JobHold(
        pipeline.stores,
        run_id,
        logging.getLogger(__name__),
        repeats=True,
        starts_over=starts_over,
        was_cancelled=lambda: False,
    ) as worker:
        yield worker


def dropped(pipeline: Pipeline, key: str = "customers/waiting.csv") -> ImportJob:
    """Return the job of an uploaded file that no run has taken."""
    pipeline.drop(key, GOOD)
    result = pipeline.stores.objects.find(pipeline.stores.settings.s3_bucket_uploads, key)
    assert result is not None
    job = pipeline.stores.claims.claim(result)
    assert job is not None
    return job


def is_left_to_the_sensor(pipeline: Pipeline, failed: ImportJob) -> bool:
    again = pipeline.stores.claims.retry(failed.id)
    return (again.retry_of, again.status, again.group_id) == (failed.id, Status.PENDING, None)


def uid(number: int) -> bytes:
    return b"00000000-0000-7000-8000-%012d" % number
