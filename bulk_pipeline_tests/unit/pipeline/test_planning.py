"""The order in which jobs start, and the jobs for which they wait."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bulk_pipeline import tables
from bulk_pipeline.ledger.jobs import OpenJob, Status
from bulk_pipeline.pipeline.planning import Group, Limits, plan
from bulk_pipeline.schema import Mode

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(group_files=3, group_bytes=1000, settle_seconds=2, parent_wait_seconds=60)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def job(name: str, table: str = "users", arrived: float = 0, size_bytes: int = 10) -> OpenJob:
    return OpenJob(
        id=name,
        table=table,
        mode=Mode.INSERT_ONLY,
        status=Status.PENDING,
        size_bytes=size_bytes,
        arrived_at=at(arrived),
        created_at=at(arrived),
        attempt=0,
        group_id=None,
        key=f"customers/{name}.csv",
        upload_name=None,
        owner_id=None,
        isolated=False,
        run_id=None,
        requested_at=None,
        request_id=None,
        next_attempt_at=None,
        is_held=False,
    )


def groups(
    *jobs: OpenJob, now: float = 10, scanned: float | dict[str, float] = 10, backlog: tuple[str, ...] = ()
) -> list[Group]:
    every = dict.fromkeys(tables.names(), scanned) if isinstance(scanned, (int, float)) else scanned
    through = {table: at(seconds) for table, seconds in every.items()}
    return plan(jobs, tables.in_load_order(), through, backlog, at(now), LIMITS)


def test_files_of_one_table_share_a_run_in_order_of_arrival() -> None:
    assert groups(job("b", arrived=2), job("a", arrived=1)) == [Group("users", ("a", "b"))]


def test_files_of_different_tables_run_side_by_side() -> None:
    assert groups(job("a"), job("b", "customers")) == [Group("users", ("a",)), Group("customers", ("b",))]


def test_a_run_takes_no_more_files_and_bytes_than_its_limits() -> None:
    assert groups(*(job(name) for name in "abcd")) == [Group("users", ("a", "b", "c"))]
    assert groups(job("a", size_bytes=600), job("b", size_bytes=600)) == [Group("users", ("a",))]


def test_a_run_waits_for_more_small_files_that_lie_in_the_inbox() -> None:
    few = [job("a", arrived=1), job("b", arrived=2)]
    assert groups(*few, backlog=("users",)) == []
    assert groups(*few, backlog=("customers",)) == [Group("users", ("a", "b"))], "those of another table"
    assert groups(*few, job("c", arrived=3), backlog=("users",)) == [Group("users", ("a", "b", "c"))], (
        "enough"
    )


def test_a_run_does_not_wait_for_long_nor_if_it_would_gain_little() -> None:
    few = [job("a"), job("b")]
    assert groups(*few, now=29, scanned=29, backlog=("users",)) == []
    assert groups(*few, now=30, scanned=30, backlog=("users",)) == [Group("users", ("a", "b"))]
    assert groups(job("a", size_bytes=1000), backlog=("users",)) == [Group("users", ("a",))], "a large file"
    crashed = replace(job("a"), isolated=True)
    assert groups(crashed, backlog=("users",)) == [Group("users", ("a",))], "it runs alone"
    waiting = replace(job("c", arrived=1), next_attempt_at=at(11))
    assert groups(*few, waiting, backlog=("users",)) == [Group("users", ("a", "b"))], (
        "the next one cannot join"
    )


def test_a_file_larger_than_the_limit_still_runs() -> None:
    assert groups(job("a", size_bytes=5000)) == [Group("users", ("a",))]


def test_a_table_that_is_worked_on_starts_nothing_more() -> None:
    assert groups(replace(job("a"), is_held=True), job("b")) == []
    assert groups(replace(job("a"), group_id="asked for"), job("b")) == []


def test_an_isolated_file_runs_alone_and_keeps_its_place() -> None:
    assert groups(replace(job("a"), isolated=True), job("b", arrived=1)) == [Group("users", ("a",))]
    assert groups(job("a"), replace(job("b", arrived=1), isolated=True)) == [Group("users", ("a",))]


def test_a_file_that_waits_for_its_next_attempt_holds_its_successors() -> None:
    assert groups(replace(job("a"), next_attempt_at=at(11)), job("b", arrived=1)) == []
    assert groups(replace(job("a"), next_attempt_at=at(9))) == [Group("users", ("a",))]


def test_a_file_waits_until_all_that_arrived_before_it_is_claimed() -> None:
    assert groups(job("a", arrived=5.5), scanned=5.4) == []
    assert groups(job("a", arrived=5.5), scanned=5.5) == [Group("users", ("a",))]


def test_a_file_whose_timestamp_is_of_whole_seconds_waits_for_the_end_of_its_second() -> None:
    assert groups(job("a", arrived=5), scanned=5.9) == []
    assert groups(job("a", arrived=5), scanned=6) == [Group("users", ("a",))]


def test_a_child_waits_for_parents_that_arrived_up_to_the_settling_time_after_it() -> None:
    child = job("child", "articles", arrived=0)
    assert groups(child, job("parent", arrived=2)) == [Group("users", ("parent",))]
    assert groups(child, job("parent", arrived=2.1)) == [
        Group("users", ("parent",)),
        Group("articles", ("child",)),
    ]


def test_a_child_waits_until_the_inboxes_of_its_parents_are_searched() -> None:
    child = job("child", "comments", arrived=0)
    searched = {"users": 2.0, "comments": 2.0, "articles": 1.9}
    assert groups(child, scanned=searched) == []
    assert groups(child, scanned={**searched, "articles": 2.0}) == [Group("comments", ("child",))]


def test_a_child_waits_for_parents_until_the_end_of_the_second_in_which_they_must_arrive() -> None:
    """Timestamps of some stores have whole seconds."""
    child = job("child", "articles", arrived=0.5)
    assert groups(child, scanned=2.9) == []
    assert groups(child, scanned=3.0) == [Group("articles", ("child",))]


def test_a_child_stops_waiting_for_what_has_come_to_a_halt_and_says_so() -> None:
    child = job("child", "articles", arrived=0)
    parent = replace(job("parent", arrived=1), next_attempt_at=at(90))
    assert groups(child, parent, now=60, scanned=60) == []
    assert groups(child, parent, now=61, scanned=60) == [Group("articles", ("child",), hurried=("child",))]


def test_a_child_waits_for_as_long_as_its_parents_are_worked_on() -> None:
    child = job("child", "articles", arrived=0)
    for parent in (
        replace(job("parent", arrived=1), is_held=True),
        replace(job("parent", arrived=1), group_id="asked for"),
    ):
        assert groups(child, parent, now=1000, scanned=1000) == []
    assert groups(child, job("parent", arrived=1), now=1000, scanned=1000) == [Group("users", ("parent",))]


def test_a_grandchild_waits_while_the_parent_waits_its_turn() -> None:
    """And it starts after the parent."""
    jobs = [
        replace(job("user"), next_attempt_at=at(90)),
        replace(job("article", "articles", arrived=0), created_at=at(5)),
        job("comment", "comments", arrived=0),
    ]
    assert groups(*jobs, now=62, scanned=62) == []
    assert groups(*jobs, now=66, scanned=66) == [Group("articles", ("article",), hurried=("article",))]


def test_a_child_waits_for_as_long_as_more_is_known_to_lie_in_the_inbox() -> None:
    child = job("child", "articles", arrived=0)
    searched = {"users": 1.0, "articles": 1.0}
    assert groups(child, now=1000, scanned=searched, backlog=("users",)) == []
    assert groups(child, now=60, scanned=searched) == []
    assert groups(child, now=61, scanned=searched, backlog=("customers",)) == [
        Group("articles", ("child",), hurried=("child",))
    ]


def test_a_file_whose_own_inbox_is_never_searched_starts_in_the_end() -> None:
    """For example if the store's clock is late, which needs no warning."""
    assert groups(job("a", arrived=5), now=66, scanned=4) == [Group("users", ("a",))]


def test_a_stream_of_later_parents_does_not_hold_a_child_back() -> None:
    parents = [replace(job(f"p{n}", arrived=3 + n), is_held=True) for n in range(50)]
    assert groups(job("child", "articles", arrived=0), *parents, now=5) == [Group("articles", ("child",))]
