"""Failures -> errors.csv, errors.ndjson and the rejected rows as they stood in the file."""

from bulk_pipeline.stages.report.reports import Reported, Reports, write_reports

__all__ = ["Reported", "Reports", "write_reports"]
