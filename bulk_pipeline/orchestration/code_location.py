"""The Dagster code location, put together from its parts, and the same as a component for `dg`."""

from pathlib import Path

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration import assets, sensors, table_checks
from bulk_pipeline.orchestration.jobs import (
    check_tables,
    clean_up,
    every_night,
    export_table,
    import_files,
    nightly_checks,
    nightly_clean_up,
    nightly_export,
)
from bulk_pipeline.orchestration.resources import build_resources
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import read_project


def build_definitions(project: Path | str | None = None, *, stores: Stores | None = None) -> dg.Definitions:
    """Return sensors, jobs, schedules, assets and resources for the tables of a project, which this process serves.

    They can be merged with other definitions. `project`: the folder above `tables/`; without one, that of
    `BULK_PROJECT`. Servers and keys come from the environment, unless `stores` are given. Raises `SettingsError` for a
    folder without tables.
    """
    if project is not None:
        tables.serve(read_project(project))
    return dg.Definitions(
        assets=assets.specs(),
        asset_checks=[table_checks.definition()],
        jobs=[import_files, export_table, nightly_export, clean_up, check_tables],
        schedules=[every_night, nightly_checks, nightly_clean_up],
        sensors=[sensors.upload_sensor, sensors.reaper_sensor, sensors.notify_sensor],
        resources=build_resources(stores),
    )


class BulkPipeline(dg.Component, dg.Model, dg.Resolvable):
    """Imports files into the tables of a project, and exports them.

    `project`: the folder above `tables/`, from the folder of defs.yaml on; without one, that of `BULK_PROJECT`.
    """

    project: str | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return what `build_definitions` does."""
        return build_definitions(None if self.project is None else context.path / self.project)
