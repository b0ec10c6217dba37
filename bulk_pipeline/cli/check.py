"""`check`: parse and validate a file without any stack, and write the reports an import would."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import JsonOption
from bulk_pipeline.cli.upload_options import (
    ColumnOption,
    EncodingOption,
    HeaderOption,
    RecordsOption,
    SheetOption,
    upload_format,
)
from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, UploadFormat


def check_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file, compressed or not.")],
    table: Annotated[str, typer.Option(help="The table it is for.")],
    mode: Annotated[Mode | None, typer.Option(help="The mode it is to be imported in.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A folder for errors.csv, errors.ndjson, rejected.*."),
    ] = None,
    encoding: EncodingOption = None,
    header: HeaderOption = None,
    columns: ColumnOption = None,
    sheet: SheetOption = None,
    records: RecordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Parse and validate a file without importing it: what only the database knows is not looked at.

    Exit 0: every row accepted; 3: some rejected; 1: the file cannot be read.

    Example: bulk-pipeline check users.csv --table users -o reports
    """
    try:
        declared = upload_format(encoding, header, columns, sheet, records)
        document = _check(file, tables.get(table).name, mode, declared, out)
    except FileError as error:
        document = {"file": str(file), "table": table, "error": str(error), "code": error.code}
    if as_json:
        output.print_json(document)
    else:
        output.print_facts(document)
    if "error" in document:
        raise typer.Exit(1)
    if document["rejected"]:
        raise typer.Exit(3)


def _check(
    file: Path, name: str, mode: Mode | None, declared: UploadFormat, out: Path | None
) -> dict[str, Any]:
    from bulk_pipeline.orchestration import steps
    from bulk_pipeline.orchestration.work import WorkLocation
    from bulk_pipeline.stages.parse import open_upload

    table = tables.get(name)
    mode = mode or table.default_mode
    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-check-") as folder, file.open("rb") as stream:
        work = WorkLocation(Path(folder))
        upload = open_upload(stream, file.name, table=table, mode=mode, declared=declared)
        parsed = steps.parse_upload(upload, "check", 1, table, mode, work)
        checked = steps.validate_rows(parsed, work)
        found = [checked.batches(work, name) for name in ("parse_failures", "validate_failures")]
        reported, names = steps.write_job_reports(
            checked, found, lambda report: (Path(folder) / report).open("wb"), work
        )
        reports = [_kept(Path(folder) / report, out) for report in names] if out else []
    return {
        "file": str(file),
        "table": table.name,
        "mode": mode,
        "total": checked.rows,
        "good": checked.good,
        "rejected": checked.rows - checked.good,
        "failures": reported.codes,
        "warnings": upload.warnings,
        "dialect": upload.dialect.as_dict(),
        "reports": reports,
    }


def _kept(report: Path, out: Path) -> str:
    out.mkdir(parents=True, exist_ok=True)
    return str(shutil.copyfile(report, out / report.name))
