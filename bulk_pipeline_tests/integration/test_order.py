"""Parents are loaded first, and a table's files one after the other, in any order of uploads."""

import random
import time
from collections.abc import Iterable
from itertools import count
from threading import Thread
from uuid import UUID

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.intake import HURRIED, take_in
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.pipeline import LOOK_AGAIN_SECONDS, Pipeline
from bulk_pipeline_tests.seeds import SEEDS

SETTLE_SECONDS, GAP_SECONDS = 3.0, 0.4
"""Long enough that a slow upload on a busy machine is still in time."""
USER, ARTICLE = UUID(int=1), UUID(int=2)
FILES = {
    "users/u.csv": f"id,email,name,role\n{USER},a@example.com,Ada,reader\n",
    "articles/a.csv": f"id,slug,title,body,author_id,status\n{ARTICLE},a,A,B,{USER},draft\n",
    "comments/c.csv": f"id,article_id,user_id,body\n{UUID(int=3)},{ARTICLE},{USER},well said\n",
}


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 2 + SEEDS))]
)
def test_children_find_their_parents_in_any_order_of_dropping(pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    keys = list(reversed(FILES)) if seed == 0 else chance.sample(list(FILES), len(FILES))
    person = Thread(target=drop, args=(pipeline, keys, chance))
    person.start()
    while person.is_alive():
        tick(pipeline)
        time.sleep(LOOK_AGAIN_SECONDS)
    person.join()
    pipeline.work_off()
    jobs = [pipeline.job(key) for key in FILES]
    assert [(job.status, pipeline.counts(job), job.warnings) for job in jobs] == [
        (Status.COMPLETED, Counts(total=1, inserted=1), [])
    ] * 3


def test_a_stream_of_parents_does_not_hold_a_child_back(pipeline: Pipeline) -> None:
    pipeline.drop("users/first.csv", user(1))
    pipeline.drop("articles/a.csv", FILES["articles/a.csv"].encode())
    deadline = time.monotonic() + 30
    for number in count(2):
        pipeline.drop(f"users/{number}.csv", user(number))
        tick(pipeline)
        if is_final(pipeline, "articles/a.csv"):
            break
        assert time.monotonic() < deadline
    job = pipeline.job("articles/a.csv")
    assert (job.status, job.warnings) == (Status.COMPLETED, [])


@pytest.mark.parametrize("settings", [3], indirect=True, ids=["after 3 s"])
def test_a_child_stops_waiting_for_parents_that_wait_themselves_after_a_while_and_says_so(
    pipeline: Pipeline, settings: Settings
) -> None:
    pipeline.drop("users/u.csv", FILES["users/u.csv"].encode())
    tick(pipeline, run=False)
    (lease,) = pipeline.stores.leases.take([pipeline.job("users/u.csv").id], "somebody")
    pipeline.stores.leases.release(lease, error="an outage")
    pipeline.drop("articles/a.csv", FILES["articles/a.csv"].encode())
    deadline = time.monotonic() + 30
    while not is_final(pipeline, "articles/a.csv"):
        tick(pipeline)
        time.sleep(LOOK_AGAIN_SECONDS)
        assert time.monotonic() < deadline
    job = pipeline.job("articles/a.csv")
    waited = (job.finished_at or job.created_at) - job.created_at
    assert (job.failure_counts, job.warnings) == ({"unknown_reference": 1}, [HURRIED])
    assert waited.total_seconds() >= settings.bulk_parent_wait_seconds


def test_upserts_are_applied_in_the_order_in_which_they_arrived(pipeline: Pipeline) -> None:
    names = [f"file {number}" for number in range(1, 9)]
    for number, name in enumerate(names):
        key = f"users/upsert/{9 - number}.csv"
        pipeline.drop(key, f"email,name,role\na@example.com,{name},reader\n".encode())
        if number % 3 == 0:
            tick(pipeline, run=number % 2 == 0)
    pipeline.work_off()
    assert pipeline.query("SELECT name FROM users") == [(names[-1],)]


def drop(pipeline: Pipeline, keys: Iterable[str], chance: random.Random) -> None:
    """Upload files with a pause after each."""
    for key in keys:
        pipeline.drop(key, FILES[key].encode())
        time.sleep(chance.uniform(0, GAP_SECONDS))


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings with a lease and a retry pause longer than the test."""
    waits = {"bulk_settle_seconds": SETTLE_SECONDS, "bulk_parent_wait_seconds": getattr(request, "param", 60)}
    return settings.model_copy(update=waits | {"bulk_lease_seconds": 60, "bulk_retry_seconds": 600})


def tick(pipeline: Pipeline, *, run: bool = True) -> None:
    """Run one tick of the sensor, and the runs that it requests."""
    intake = take_in(pipeline.stores, pipeline.cursor)
    pipeline.cursor = intake.cursor
    for request in intake.requests if run else ():
        pipeline.stores.ledger.requested(request.key)
        pipeline.run(*(job.id for job in request.jobs))


def is_final(pipeline: Pipeline, key: str) -> bool:
    job = pipeline.stores.ledger.newest_of_object(pipeline.stores.settings.s3_bucket_uploads, key)
    return job is not None and job.status.is_final


def user(number: int) -> bytes:
    return f"id,email,name,role\n{UUID(int=number)},user{number}@example.com,Ada,reader\n".encode()
