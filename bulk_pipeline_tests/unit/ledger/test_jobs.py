"""Rules about jobs that need no database."""

from uuid import UUID

import pytest

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.ledger.jobs import Status, as_uuid, final_status, new_id, wait_seconds
from bulk_pipeline.stages.counts import Counts


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        (Counts(total=0), Status.COMPLETED),
        (Counts(total=3, inserted=1, updated=1, unchanged=1), Status.COMPLETED),
        (Counts(total=3, superseded=2, rejected=1), Status.COMPLETED_WITH_ERRORS),
        (Counts(total=2, rejected=2), Status.FAILED),
    ],
)
def test_rejected_rows_decide_how_a_job_ends(counts: Counts, status: Status) -> None:
    assert final_status(counts) is status


def test_unprocessed_rows_are_those_without_a_batch() -> None:
    counts = Counts(total=10, inserted=1, updated=1, unchanged=1, superseded=1, rejected=1)
    assert (counts.processed, counts.unprocessed) == (5, 5)
    assert Counts().unprocessed == 0


def test_waits_double_up_to_five_minutes() -> None:
    assert [wait_seconds(attempt, 5) for attempt in (0, 1, 2, 3, 7, 5000)] == [5, 5, 10, 20, 300, 300]


def test_ids_are_uuids_of_version_7_in_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1_700_000_000_000_000_000, 1_700_000_000_001_000_000])
    monkeypatch.setattr("time.time_ns", lambda: next(clock))
    first, second = UUID(new_id()), UUID(new_id())
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first.int >> 80 == 1_700_000_000_000
    assert first < second


def test_a_text_that_is_no_id_is_no_job() -> None:
    with pytest.raises(NotFoundError, match="no job 'seven'"):
        as_uuid("seven")
