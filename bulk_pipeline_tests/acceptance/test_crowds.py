"""Many files at once: the result is the same as one after the other, and no file waits for those of another table."""

import random
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique, until
from bulk_pipeline_tests.seeds import SEEDS

ROWS = 200


@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
def test_a_few_files_at_once_give_the_same_result_as_one_after_the_other(
    world: RunningStack, mode: str
) -> None:
    assert_like_one_after_the_other(world, mode, files=5, seed=0)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_twenty_files_at_once_give_the_same_result_as_one_after_the_other(
    world: RunningStack, mode: str, seed: int
) -> None:
    assert_like_one_after_the_other(world, mode, files=20, seed=seed)


def assert_like_one_after_the_other(world: RunningStack, mode: str, *, files: int, seed: int) -> None:
    """Return files that share half of their keys with the next one; the city of a row names its file."""
    name, chance = unique("crowd"), random.Random(seed)
    emails = {
        f"customers/{name}-{number}.csv": [
            f"{name}-{key}@example.com" for key in range(number * ROWS // 2, number * ROWS // 2 + ROWS)
        ]
        for number in range(files)
    }
    for rows in emails.values():
        chance.shuffle(rows)

    def drop(key: str) -> None:
        world.drop(key, csv("email,city", *(f"{email},{key}" for email in emails[key])), mode=mode)

    with ThreadPoolExecutor(files) as people:
        list(people.map(drop, chance.sample(list(emails), files)))
    jobs = sorted((world.finished(key) for key in emails), key=lambda job: (job.arrived_at, job.id))
    stored = world.query("SELECT email, city FROM customers WHERE email LIKE %s", f"{name}-%")
    assert dict(stored) == one_after_the_other(jobs, emails, mode)
    assert len(stored) == (files + 1) * ROWS // 2
    assert sum(world.counts(job).inserted for job in jobs) == len(stored)
    lost = sum(world.counts(job).rejected + world.counts(job).updated for job in jobs)
    assert lost == files * ROWS - len(stored)


def one_after_the_other(jobs: list[ImportJob], emails: dict[str, list[str]], mode: str) -> dict[str, str]:
    """Return email → the file whose row must be in the table: the first one, or in upsert the last."""
    order = jobs[::-1] if mode == "insert_only" else jobs
    return {email: job.key for job in order for email in emails[job.key]}


def test_a_blocked_table_does_not_block_others(world: RunningStack) -> None:
    """A file of customers is blocked, others wait behind it; a file of users finishes meanwhile."""
    name = unique("held")
    stuck = f"{name}@example.com"
    with world.holding(stuck):
        first = world.drop(f"customers/{name}-first.csv", csv("email", stuck))
        until(world.waits_for_a_lock, "the first file waits")
        behind = [
            world.drop(f"customers/{name}-{number}.csv", csv("email", f"{number}-{stuck}"))
            for number in range(20)
        ]
        done = world.load(f"users/{name}.csv", csv("id,email,name,role", f"{uuid4()},{stuck},Ada,admin"))
        assert world.counts(done).processed == 1
        assert not any(job.status.is_final for key in (first, *behind) for job in world.jobs(key))
    assert [world.finished(key).status for key in (first, *behind)] == [Status.COMPLETED] * 21
