"""Dagster resources: settings read once, the stores made of them, and a run's hold on its jobs.

They hand plain objects to ops and sensors. Connection strings and keys come from the environment and are never part
of a run's config, so the UI cannot show them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from bulk_pipeline.orchestration import runs
from bulk_pipeline.orchestration.handover import Handover
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.orchestration.worker import Worker
from bulk_pipeline.settings import read_settings


@dg.resource(description="Postgres, the object store and the ledger, as the environment names them.")
@contextmanager
def stores(_: dg.InitResourceContext) -> Iterator[Stores]:
    opened = Stores(read_settings())
    try:
        yield opened
    finally:
        opened.close()


@dg.resource(description="The run's leases on its jobs.", required_resource_keys={"stores"})
@contextmanager
def worker(context: dg.InitResourceContext) -> Iterator[Worker]:
    run, instance = context.run, context.instance
    assert run is not None
    assert instance is not None
    assert context.log is not None

    def was_cancelled() -> bool:
        return runs.is_cancelled(instance.get_run_by_id(run.run_id))

    steps = run.step_keys_to_execute
    starts_over = steps is None or "parse" in steps
    with Worker(
        context.resources.stores,
        run.run_id,
        context.log,
        repeats=run.parent_run_id is not None,
        starts_over=starts_over,
        was_cancelled=was_cancelled,
    ) as hold:
        if not starts_over:
            # What failed has no part in later steps: whoever repeats only those must get it back all the same.
            hold.to_take(runs.job_ids(run))
        yield hold


@dg.io_manager(
    description="What ops leave for the next one, beside the work files.", required_resource_keys={"stores"}
)
def handover(context: dg.InitResourceContext) -> Handover:
    assert context.run is not None
    return Handover(context.resources.stores, runs.job_ids(context.run))
