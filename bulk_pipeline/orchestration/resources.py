"""Dagster resources: the stores, created from the settings, and a run's hold on its jobs.

They give plain objects to ops and sensors. Their only fields are other resources, and all settings come from the
environment, since the UI would show a field with a connection string or a key.
See https://docs.dagster.io/guides/build/external-resources.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from bulk_pipeline import tables
from bulk_pipeline.orchestration import run_tags, runs
from bulk_pipeline.orchestration.io_manager import STATES, ImportStateIOManager
from bulk_pipeline.pipeline import run_memory
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.job_hold import JobHold
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import S3Settings, read_settings


class S3FromEnvironment(S3Resource):
    """A client of the S3 server in the environment, for ops that need one in addition to the stores.

    It can replace dagster-aws' `S3Resource` anywhere, with our keys, addressing, encryption and timeouts.
    """

    aws_secret_access_key: str | None = Field(default=None, repr=False)
    """Unused, like the fields of all resources; overridden since dagster-aws would show it."""

    def get_client(self) -> s3.Client:
        return s3.connect(S3Settings())


class StoresResource(dg.ConfigurableResource[Stores]):
    """Postgres, the object store and the ledger of the environment."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Stores]:
        settings = read_settings()
        if context.run is not None:
            run_memory.limit_run(settings.bulk_run_memory_bytes)
        with closing(Stores(settings)) as stores, ExitStack() as until_the_end:
            if context.run is not None:
                until_the_end.enter_context(tables.served().held())
            yield stores


class JobHoldResource(dg.ConfigurableResource[JobHold]):
    """The run's leases on its jobs."""

    stores: dg.ResourceDependency[Stores]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[JobHold]:
        run, instance = context.run, context.instance
        assert run is not None
        assert instance is not None
        assert context.log is not None

        def was_cancelled() -> bool:
            return runs.is_cancelled(instance.get_run_by_id(run.run_id))

        steps = run.step_keys_to_execute
        starts_over = steps is None or "parse" in steps
        hold = JobHold(
            self.stores,
            run.run_id,
            context.log,
            repeats=run.parent_run_id is not None,
            starts_over=starts_over,
            was_cancelled=was_cancelled,
        )
        try:
            with hold:
                if not starts_over:
                    # Outputs of earlier steps omit jobs that failed there: lease all jobs, so that none is stranded.
                    hold.to_take(runs.job_ids(run, self.stores))
                yield hold
        finally:  # before Dagster records the end of the run
            is_cancelled = hold.is_interrupted and was_cancelled()
            result = run_tags.result_of_imports(hold, is_cancelled=is_cancelled)
            run_tags.update(instance, run.run_id, result)


class ImportStateResource(dg.ConfigurableIOManagerFactory[ImportStateIOManager]):
    """The IO manager that stores the values between ops beside the work files."""

    stores: dg.ResourceDependency[Stores]

    def create_io_manager(self, context: dg.InitResourceContext) -> ImportStateIOManager:
        assert context.run is not None
        return ImportStateIOManager(self.stores, runs.job_ids(context.run, self.stores))


def build_resources(
    stores: Stores | None = None,
) -> dict[str, Any]:  # resources, and objects that stand for one
    """Return the resources of the code location. `stores` replace those of the environment, for example in a test.

    Their keys differ from common ones, such as `io_manager` and `s3`, which other projects use for their own resources.
    The first three share one `StoresResource` per run; Dagster allows sharing only for a resource that is configured at
    launch.
    """
    shared: Any = stores or StoresResource.configure_at_launch()
    return {
        "stores": shared,
        "worker": JobHoldResource(stores=shared),
        STATES: ImportStateResource(stores=shared),
        "bulk_s3": S3FromEnvironment(),
    }
