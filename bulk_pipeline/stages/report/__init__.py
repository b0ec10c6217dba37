"""Writes failures to errors.csv and errors.ndjson, and the rejected rows as they were, as text and as a workbook."""

from bulk_pipeline.stages.report.reports import Reports, ReportSummary, write_reports
from bulk_pipeline.stages.report.workbook import RejectedWorkbook

__all__ = ["RejectedWorkbook", "ReportSummary", "Reports", "write_reports"]
