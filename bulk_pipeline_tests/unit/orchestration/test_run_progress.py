"""The tag of a run's progress: rarely written, and right at its end."""

from collections.abc import Iterator

import dagster as dg
import pytest

from bulk_pipeline.orchestration.run_progress import RunProgress
from bulk_pipeline.orchestration.run_tags import PROGRESS

RUN = "01a00000-0000-7000-8000-000000000000"


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        instance.add_run(dg.DagsterRun("import_files", run_id=RUN))
        yield instance


def shown(instance: dg.DagsterInstance) -> str | None:
    run = instance.get_run_by_id(RUN)
    assert run is not None
    return run.tags.get(PROGRESS)


def test_a_short_load_writes_no_tag(instance: dg.DagsterInstance) -> None:
    clock = Clock()

    with RunProgress(instance, RUN, 10, clock=clock) as progress:
        clock.seconds = 1.9
        progress.note("a", 10)

    assert shown(instance) is None


def test_a_long_load_shows_percent_rows_speed_and_time_left(instance: dg.DagsterInstance) -> None:
    clock = Clock()

    with RunProgress(instance, RUN, 4000, clock=clock) as progress:
        progress.note("a", 0)
        clock.seconds = 2
        progress.note("a", 1000)
        first = shown(instance)
        clock.seconds = 3
        progress.note("a", 1999)
        unchanged = shown(instance)
        clock.seconds = 4
        progress.note("b", 1)

    assert first == "25%, 1,000 of 4,000 rows, 500 rows/s, 6 s left"
    assert unchanged == first
    assert shown(instance) == "50%, 2,000 of 4,000 rows"


def test_a_load_that_fails_keeps_how_far_it_came(instance: dg.DagsterInstance) -> None:
    def load(clock: Clock) -> None:
        with RunProgress(instance, RUN, 300, clock=clock) as progress:
            clock.seconds = 5
            progress.note("a", 100)
            clock.seconds = 6
            progress.note("a", 200)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load(Clock())

    assert shown(instance) == "66%, 200 of 300 rows"


def test_rows_of_an_earlier_attempt_are_not_speed(instance: dg.DagsterInstance) -> None:
    clock = Clock()

    with RunProgress(instance, RUN, 4000, clock=clock) as progress:
        progress.note("a", 3000)
        clock.seconds = 2
        progress.note("a", 3500)

        assert shown(instance) == "87%, 3,500 of 4,000 rows, 250 rows/s, 2 s left"
