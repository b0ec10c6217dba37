"""Reads and validates the file of a check, in the process of `check_process`."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError, UnknownTableError
from bulk_pipeline.ledger.failure_reports import ReportLine
from bulk_pipeline.ledger.file_checks import FileCheck
from bulk_pipeline.office.previews import preview_of
from bulk_pipeline.office.rejected_rows import marked, meanings, raw_rows
from bulk_pipeline.pipeline.check import check_file
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.run_memory import is_out_of_memory
from bulk_pipeline.schema import NOTHING_DECLARED, Mode
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.report_names import rejected_name

_NEEDS_MEMORY = "Checking this file needs more memory than a check may take. It may still be loaded."


def check_stored_file(settings: Settings, check_id: str) -> None:
    """Record the result of a check, or why the file cannot be read."""
    tables.serve(settings.project)
    stores = Stores(settings)
    try:
        found = stores.file_checks.get(check_id)
        try:
            stores.file_checks.finish(check_id, result=_result(stores, found))
        except (FileError, UnknownTableError) as error:
            stores.file_checks.finish(check_id, error=str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            stores.file_checks.finish(check_id, error=_NEEDS_MEMORY)
    finally:
        stores.close()


def _result(stores: Stores, found: FileCheck) -> dict[str, object]:
    table, mode = tables.get(found.table_name), Mode(found.mode)
    with (
        tempfile.TemporaryDirectory(prefix="bulk-pipeline-check-") as folder,
        stores.objects.open(stores.settings.s3_bucket_archive, found.object_key) as stream,
    ):
        reports = Path(folder)
        done = check_file(stream, found.file_name, table, mode, reports, limits=stores.settings.limits)
        failures = [ReportLine(**failure) for failure in done.reported.first.to_pylist()]
        name = rejected_name(done.reports)
        raw = raw_rows(reports / name, done.dialect.as_dict()) if name else {}
        preview = preview_of(done.dialect, done.first)
    return {
        "preview": asdict(preview),
        "rows": done.rows,
        "good": done.good,
        "warnings": list(done.warnings),
        "rejected": asdict(marked(failures, raw, meanings(table, NOTHING_DECLARED))),
    }
