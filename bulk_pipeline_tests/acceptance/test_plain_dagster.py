"""The product without its changes to Dagster's insides, as after an upgrade that a change does not survive."""

from uuid import uuid4

import pytest

from bulk_pipeline.settings import DagsterChange
from bulk_pipeline_tests.acceptance.conftest import reached
from bulk_pipeline_tests.conftest import stack_environ, stack_of
from bulk_pipeline_tests.rigs.running_stack import customers, until

pytestmark = pytest.mark.long


def test_files_are_imported_with_every_change_turned_off() -> None:
    environ = stack_environ() | {"BULK_PLAIN_DAGSTER": ",".join(DagsterChange)}
    with stack_of(environ) as stack, reached(stack) as world:
        job = world.load("customers/a.csv", customers(f"{uuid4().hex}@example.com", "nobody"))
        run_id = str(job.run_id)
        until(lambda: world.ui.is_over(run_id), "the end of the run")
        assert (job.status, world.ui.status(run_id)) == ("completed_with_errors", "SUCCESS")
        assert "MaterializationEvent" in {event["__typename"] for event in world.ui.events(run_id)}
