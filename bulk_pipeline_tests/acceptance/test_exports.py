"""Exports against the running stack: asked for on the command line, done by a run, shown in Dagster's UI."""

import hashlib
import json

import pytest

from bulk_pipeline_tests.acceptance.test_command_line import documents
from bulk_pipeline_tests.acceptance.world import World, customers, unique, until


@pytest.fixture
def city(world: World) -> str:
    """A city with two customers that are nobody else's."""
    city = unique("city")
    rows = customers(f"{unique()}@x.co", f"{unique()}@x.co").replace(b"Lund", city.encode())
    world.load(f"customers/{unique()}.csv", rows)
    return city


def test_a_request_is_noticed_and_done_within_seconds(world: World, city: str) -> None:
    status, job = documents(world, "export", "customers", "--where", f"city={city}", "--json")
    assert (status, job["status"], job["rows"]) == (0, "completed", 2)
    folder = job["folder"].partition("/exports/")[2]
    with world.stores.objects.open("exports", f"{folder}manifest.json") as stream:
        manifest = json.loads(stream.read())
    assert manifest == job["manifest"]
    for part in manifest["parts"]:
        with world.stores.objects.open("exports", folder + part["name"]) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == part["sha256"]
    until(lambda: world.ui.status(job["run_id"]) == "SUCCESS", "the run has ended")


@pytest.mark.long
def test_missed_nights_are_made_up_for_by_a_backfill(world: World, city: str) -> None:
    nights = ["2026-01-02", "2026-01-03"]
    backfill = world.ui.backfill("nightly_export", nights)
    until(lambda: world.ui.backfill_status(backfill) == "COMPLETED_SUCCESS", "both nights", seconds=180)
    for night in nights:
        found = world.stores.objects.page("exports", f"customers/dt={night}/").found
        assert len([one for one in found if one.key.endswith("/manifest.json")]) == 2  # CSV and Parquet
