"""Users, articles and comments are dropped in any order, with pauses; the sensor loads parents first."""

import gzip
import json
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from threading import Event, Thread
from uuid import uuid4

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique
from bulk_pipeline_tests.seeds import SEEDS

TABLES = ("comments", "articles", "users")
LONGEST_PAUSE_SECONDS = 2.0


def test_children_are_not_rejected_when_parents_arrive_later(world: RunningStack) -> None:
    family = Family()
    for table in TABLES:
        world.drop(family.keys[table], family.files[table])
        time.sleep(LONGEST_PAUSE_SECONDS)
    assert rejected(world, family) == {}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
def test_children_find_their_parents_in_any_order_of_dropping(world: RunningStack, seed: int) -> None:
    chance, family = random.Random(seed), Family()
    for table in chance.sample(TABLES, len(TABLES)):
        world.drop(family.keys[table], family.files[table])
        time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
    assert rejected(world, family) == {}


@pytest.mark.long
def test_a_stream_of_parents_does_not_hold_a_child_back_for_more_than_a_minute(world: RunningStack) -> None:
    family, is_over = Family(), Event()
    people = Thread(target=drop_users, args=(world, is_over))
    people.start()
    try:
        world.drop(family.keys["users"], family.files["users"])
        world.drop(family.keys["articles"], family.files["articles"])
        child = world.finished(family.keys["articles"])
    finally:
        is_over.set()
        people.join()
    assert (child.status, child.warnings) == (Status.COMPLETED, [])
    assert child.finished_at is not None
    assert child.finished_at - child.arrived_at < timedelta(seconds=60)


class Family:
    """Return a user, an article of theirs, and their comment on it, each as a file of another format."""

    def __init__(self) -> None:
        user, article, name = uuid4(), uuid4(), unique("family")
        suffixes = {"users": "tsv", "articles": "ndjson.gz", "comments": "csv"}
        self.keys = {table: f"{table}/{name}.{suffix}" for table, suffix in suffixes.items()}
        row = {"id": article, "slug": name, "title": "T", "body": "B", "author_id": user, "status": "draft"}
        self.files = {
            "users": csv("id\temail\tname\trole", f"{user}\t{name}@example.com\tAda\tauthor"),
            "articles": gzip.compress(json.dumps(row, default=str).encode()),
            "comments": csv("id;article_id;user_id;body", f'cm_{uuid4()};{article};{user};"well; said"'),
        }


def rejected(world: RunningStack, family: Family) -> dict[str, dict[str, int]]:
    """Return table → failures by code, once all files are loaded."""
    jobs: Iterator[ImportJob] = (world.finished(key) for key in family.keys.values())
    return {job.table: job.failure_counts for job in jobs if job.status is not Status.COMPLETED}


def drop_users(world: RunningStack, is_over: Event) -> None:
    name = unique("crowd")
    for number in count():
        line = f"{uuid4()},{number}{name}@example.com,Ada,reader"
        world.drop(f"users/{name}-{number}.csv", csv("id,email,name,role", line))
        if is_over.wait(0.5):
            return
