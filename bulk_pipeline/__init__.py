"""Bulk import and export between files in S3 and tables in Postgres, orchestrated by Dagster."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("bulk-pipeline")

_OF_DAGSTER = {"BulkPipeline", "build_definitions"}
"""Names of `orchestration.code_location`: what imports them imports Dagster, and nothing else does."""


def __getattr__(name: str) -> Any:
    if name in _OF_DAGSTER:
        return getattr(import_module("bulk_pipeline.orchestration.code_location"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_DAGSTER})
