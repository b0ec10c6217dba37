"""The Dagster code location: a parts list, nothing else."""

import dagster as dg

from bulk_pipeline.orchestration import assets, resources, sensors
from bulk_pipeline.orchestration.jobs import import_files

defs = dg.Definitions(
    assets=assets.specs(),
    jobs=[import_files],
    sensors=[sensors.upload_sensor, sensors.reaper_sensor, sensors.cleaning_sensor],
    resources={"stores": resources.stores, "worker": resources.worker},
)
