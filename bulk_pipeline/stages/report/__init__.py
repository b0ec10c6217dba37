"""Writes failures to errors.csv and errors.ndjson, and the rejected rows as they were in the file."""

from bulk_pipeline.stages.report.reports import Reports, ReportSummary, write_reports

__all__ = ["ReportSummary", "Reports", "write_reports"]
