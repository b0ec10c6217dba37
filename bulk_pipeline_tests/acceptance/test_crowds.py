"""Many files at the same moment: a table ends as if they had come one after the other, and none waits for another table's."""

import random
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from bulk_pipeline.stores.jobs import ImportJob, Status
from bulk_pipeline_tests.acceptance.world import World, csv, unique, until

ROWS = 200


@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
def test_a_few_files_at_once_are_like_one_after_the_other(world: World, mode: str) -> None:
    assert_like_one_after_the_other(world, mode, files=5, seed=0)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["insert_only", "upsert"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twenty_files_at_once_are_like_one_after_the_other(world: World, mode: str, seed: int) -> None:
    assert_like_one_after_the_other(world, mode, files=20, seed=seed)


def assert_like_one_after_the_other(world: World, mode: str, *, files: int, seed: int) -> None:
    """Half of the keys of each file are in the next one too; the city says which file a row is from."""
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
    """Email → the file that has it in the end: the first one, or in upsert the last."""
    order = jobs[::-1] if mode == "insert_only" else jobs
    return {email: job.key for job in order for email in emails[job.key]}


def test_a_table_that_is_held_up_holds_up_no_other(world: World) -> None:
    """One file of customers cannot go on, others wait behind it; a file of users is finished meanwhile."""
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
