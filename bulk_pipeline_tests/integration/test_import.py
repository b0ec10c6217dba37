"""Imports of files, from the bucket to the table and the reports."""

import json
from uuid import UUID

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

HEADER = "id,email,name,role,active"


def user(number: int, email: str | None = None, *, name: str = "Ada", role: str = "reader") -> str:
    address = f"user{number}@example.com" if email is None else email
    return f"{UUID(int=number)},{address},{name},{role},true"


def csv(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_good_rows_are_loaded_and_bad_ones_reported(pipeline: Pipeline) -> None:
    job = pipeline.load("users/a.csv", csv(HEADER, user(1), user(2, "foo@bar"), user(3)))
    assert job.status is Status.COMPLETED_WITH_ERRORS
    assert pipeline.counts(job) == Counts(total=3, inserted=2, rejected=1)
    assert job.failure_counts == {"bad_format": 1}
    assert pipeline.query("SELECT email FROM users ORDER BY email") == [
        ("user1@example.com",),
        ("user3@example.com",),
    ]
    message = "email 'foo@bar' is not an address like local@domain.tld"
    raw = user(2, "foo@bar")
    assert pipeline.report(job, "errors.csv").decode() == f'row,error,raw\n2,"{message}","{raw}"\n'
    assert json.loads(pipeline.report(job, "errors.ndjson")) == {
        "row": 2,
        "line": 3,
        "column": "email",
        "code": "bad_format",
        "value": "foo@bar",
        "message": message,
    }


def test_a_claimed_file_leaves_the_inbox_for_the_archive(pipeline: Pipeline) -> None:
    content = csv(HEADER, user(1))
    job = pipeline.load("users/a.csv", content)
    assert pipeline.inbox() == []
    key = f"users/{job.id}/a.csv"
    assert job.archive_key == key
    with pipeline.stores.objects.open(pipeline.stores.settings.s3_bucket_archive, key) as stream:
        assert stream.read() == content


def test_a_file_without_bad_rows_has_no_reports(pipeline: Pipeline) -> None:
    job = pipeline.load("users/a.csv", csv(HEADER, user(1)))
    assert (job.status, job.reports) == (Status.COMPLETED, {})


def test_missing_ids_bad_addresses_unknown_roles_and_repeated_emails_in_insert_only(
    pipeline: Pipeline,
) -> None:
    rows = [
        user(1, "a@example.com"),
        ",b@example.com,No Id,reader,true",
        user(3, "foo@bar"),
        user(4, "d@example.com", role="boss"),
        user(5, "a@example.com"),
        user(6, "f@example.com"),
    ]
    job = pipeline.load("users/a.csv", csv(HEADER, *rows))
    assert pipeline.counts(job) == Counts(total=6, inserted=2, rejected=4)
    assert job.failure_counts == {"bad_format": 1, "duplicate_in_file": 1, "not_allowed": 1, "required": 1}


def test_missing_ids_and_repeated_emails_in_upsert(pipeline: Pipeline) -> None:
    pipeline.load("users/before.csv", csv(HEADER, user(1, "a@example.com", name="Old")))
    rows = [
        ",a@example.com,New,reader,true",
        ",b@example.com,First,reader,true",
        user(3, "foo@bar"),
        ",b@example.com,Last,reader,true",
        user(9, "a@example.com"),
    ]
    job = pipeline.load("users/upsert/a.csv", csv(HEADER, *rows))
    assert pipeline.counts(job) == Counts(total=5, inserted=1, updated=1, superseded=1, rejected=2)
    assert job.failure_counts == {"bad_format": 1, "key_conflict": 1}
    assert pipeline.query("SELECT id, email, name FROM users ORDER BY email") == [
        (UUID(int=1), "a@example.com", "New"),
        (pipeline.query("SELECT id FROM users WHERE name = 'Last'")[0][0], "b@example.com", "Last"),
    ]


def test_a_file_imported_again_changes_nothing(pipeline: Pipeline) -> None:
    content = csv(HEADER, *(user(number) for number in range(1, 11)))
    pipeline.load("users/a.csv", content)
    job = pipeline.load("users/upsert/b.csv", content)
    assert (job.status, pipeline.counts(job)) == (Status.COMPLETED, Counts(total=10, unchanged=10))
    assert "the same bytes were uploaded as users/a.csv" in job.warnings[0]


def test_rows_already_there_are_rejected_in_insert_only(pipeline: Pipeline) -> None:
    pipeline.load("users/a.csv", csv(HEADER, user(1)))
    job = pipeline.load("users/b.csv", csv(HEADER, user(1), user(2)))
    assert pipeline.counts(job) == Counts(total=2, inserted=1, rejected=1)
    assert job.failure_counts == {"already_exists": 1}


def test_a_job_of_which_every_row_is_rejected_has_failed(pipeline: Pipeline) -> None:
    job = pipeline.load("users/a.csv", csv(HEADER, user(1, "foo@bar")))
    assert (job.status, job.error) == (Status.FAILED, "every row was rejected")
    assert set(job.reports) == {"errors.csv", "errors.ndjson", "rejected.csv", "rejected.xlsx"}


def test_the_rejected_rows_can_be_fixed_and_dropped_again(pipeline: Pipeline) -> None:
    job = pipeline.load("users/a.csv", csv(HEADER, user(1), user(2, "foo@bar")))
    fixed = pipeline.report(job, "rejected.csv").replace(b"foo@bar", b"foo@example.com")
    again = pipeline.load("users/fixed.csv", fixed)
    assert (again.status, pipeline.counts(again)) == (Status.COMPLETED, Counts(total=1, inserted=1))
    assert again.warnings == []


def test_parents_and_children_dropped_together_know_each_other(pipeline: Pipeline) -> None:
    article = f"{UUID(int=100)},a-slug,Title,Body,{UUID(int=1)},draft"
    comment = f"cm_{UUID(int=200)},{UUID(int=100)},{UUID(int=1)},well said"
    pipeline.drop("comments/c.csv", csv("id,article_id,user_id,body", comment))
    pipeline.drop("articles/a.csv", csv("id,slug,title,body,author_id,status", article))
    pipeline.drop("users/u.csv", csv(HEADER, user(1)))
    pipeline.work_off()
    for key in ("users/u.csv", "articles/a.csv", "comments/c.csv"):
        assert pipeline.job(key).status is Status.COMPLETED


def test_a_reference_to_a_missing_row_is_a_failure_of_its_row(pipeline: Pipeline) -> None:
    article = f"{UUID(int=100)},a-slug,Title,Body,{UUID(int=1)},draft"
    job = pipeline.load("articles/a.csv", csv("id,slug,title,body,author_id,status", article))
    assert job.failure_counts == {"unknown_reference": 1}


@pytest.mark.parametrize("key", ["nowhere/a.csv", "loose.csv"])
def test_a_drop_that_names_no_table_fails_and_leaves_the_inbox(pipeline: Pipeline, key: str) -> None:
    job = pipeline.load(key, b"a,b\n1,2\n")
    assert (job.status, pipeline.inbox()) == (Status.FAILED, [])
    assert job.error is not None
    assert "table" in job.error


def test_many_small_files_share_a_run_and_keep_jobs_of_their_own(pipeline: Pipeline) -> None:
    for number in range(1, 6):
        pipeline.drop(f"users/{number}.csv", csv(HEADER, user(number)))
    pipeline.drop("users/broken.csv", b"")
    pipeline.claim_as_of_one_moment()
    pipeline.work_off()
    jobs = [pipeline.job(f"users/{number}.csv") for number in range(1, 6)]
    broken = pipeline.job("users/broken.csv")
    assert broken.error_code == "empty_file"
    assert [job.status for job in (*jobs, broken)] == [Status.COMPLETED] * 5 + [Status.FAILED]
    assert len({job.run_id for job in (*jobs, broken)}) == 1
