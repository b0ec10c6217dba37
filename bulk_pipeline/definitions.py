"""The Dagster code location: a parts list, nothing else."""

import dagster as dg

from bulk_pipeline.orchestration import assets, resources, sensors
from bulk_pipeline.orchestration.jobs import (
    clean_up,
    every_night,
    export_table,
    import_files,
    nightly_clean_up,
    nightly_export,
)

defs = dg.Definitions(
    assets=assets.specs(),
    jobs=[import_files, export_table, nightly_export, clean_up],
    schedules=[every_night, nightly_clean_up],
    sensors=[sensors.upload_sensor, sensors.reaper_sensor],
    resources={"stores": resources.stores, "worker": resources.worker, "io_manager": resources.handover},
)
