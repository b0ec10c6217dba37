"""Dagster's scheduler exports every table every night; in this test, every minute."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulk_pipeline import stack, tables
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.running_stack import until

pytestmark = pytest.mark.long


@pytest.fixture
def home() -> Iterator[Path]:
    """A stack whose nights are a minute long."""
    often = {"BULK_NIGHTLY_EXPORT_CRON": "* * * * *", "BULK_NIGHTLY_EXPORT_FORMATS": "ndjson"}
    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-test-", ignore_cleanup_errors=True) as parent:
        home = Path(parent).resolve() / "home"
        stack.up(home, detach=True, environ=dict(os.environ) | often)
        yield home
        stack.down(home, purge=True)


def test_the_scheduler_exports_every_table(home: Path) -> None:
    known = {name.lower(): value for name, value in stack.environment(home).items()}
    objects, begun_on = ObjectStore(Settings.model_validate(known)), datetime.now(UTC).date()

    def exported() -> set[str]:
        result = objects.page("exports").objects
        return {one.key.split("/")[0] for one in result if one.key.endswith("/manifest.json")}

    until(lambda: exported() == set(tables.names()), "an export of every table", seconds=240)
    days = {one.key.split("/")[1] for one in objects.page("exports").objects}
    assert days <= {f"dt={day}" for day in (begun_on, datetime.now(UTC).date())}
