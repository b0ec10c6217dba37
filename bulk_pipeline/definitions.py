"""The Dagster code location of the project that the environment names."""

from bulk_pipeline.orchestration.code_location import build_definitions

defs = build_definitions()
