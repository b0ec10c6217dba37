"""Exports on the running stack: requested on the command line, written by a run, shown in Dagster's UI."""

import hashlib
import json

import pytest

from bulk_pipeline_tests.acceptance.test_command_line import documents
from bulk_pipeline_tests.rigs.running_stack import RunningStack, customers, unique, until


@pytest.fixture
def city(world: RunningStack) -> str:
    """Return a city with two customers that no other test uses."""
    city = unique("city")
    rows = customers(f"{unique()}@x.co", f"{unique()}@x.co").replace(b"Lund", city.encode())
    world.load(f"customers/{unique()}.csv", rows)
    return city


def test_a_request_is_exported_within_seconds(world: RunningStack, city: str) -> None:
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
def test_a_backfill_exports_missed_nights(world: RunningStack, city: str) -> None:
    nights = ["2026-01-02", "2026-01-03"]
    backfill = world.ui.backfill("nightly_export", nights)
    until(lambda: world.ui.backfill_status(backfill) == "COMPLETED_SUCCESS", "both nights", seconds=180)
    for night in nights:
        result = world.stores.objects.page("exports", f"customers/dt={night}/").objects
        assert len([one for one in result if one.key.endswith("/manifest.json")]) == 2  # CSV and Parquet
