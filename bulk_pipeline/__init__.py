"""Bulk import and export between files in S3 and tables in Postgres, orchestrated by Dagster."""

from importlib.metadata import version

__version__ = version("bulk-pipeline")
