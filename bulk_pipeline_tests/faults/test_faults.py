"""Faults of different kinds in one short epoch of a running stack; `make faults` runs longer campaigns with all kinds."""

from collections.abc import Iterator

import pytest

from bulk_pipeline import tables
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.faults.campaign import Campaign, Record, kinds_of
from bulk_pipeline_tests.faults.rig import PROJECT, Rig, rig

KINDS = ["lose COMMIT", "kill run", "S3 503"]


@pytest.fixture(scope="module")
def running() -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch, rig() as made:
        patch.setattr(registry, "_served", None)
        tables.serve(PROJECT)
        yield made


def test_no_row_is_lost_duplicated_or_reported_wrongly_whatever_process_dies(running: Rig) -> None:
    into = [tables.get(name) for name in ("users", "articles", "orders", "order_lines")]
    campaign = Campaign(running, rows=150, into=into)
    *faults, end = campaign.epoch(1, KINDS, print)
    assert_nothing_wrong(faults, end, KINDS)


@pytest.mark.long
def test_ten_faults_among_all_tables(running: Rig) -> None:
    kinds = kinds_of(1)
    *faults, end = Campaign(running, rows=800, pause_seconds=10).epoch(1, kinds, print)
    assert_nothing_wrong(faults, end, kinds)


def assert_nothing_wrong(faults: list[Record], end: Record, kinds: list[str]) -> None:
    assert [fault["kind"] for fault in faults] == kinds
    assert all(fault["jobs"] for fault in faults), "a fault struck while nothing was worked on"
    assert (end["violations"], end["unjudged"]) == ([], None)
