"""`parse`: what the parser sees in a file, without a table and without any stack."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.upload_options import EncodingOption, RecordsOption, SheetOption, upload_format
from bulk_pipeline.cli.whole_file import given, whole_file
from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import UploadFormat

_SHOWN_FAILURES = 10


def parse_files(
    files: Annotated[
        list[Path], typer.Argument(help="Delimited text, JSON, Parquet or xlsx; may be compressed.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|-",
            help="Write clean CSV here: a file, or for several files a folder.",
        ),
    ] = None,
    encoding: EncodingOption = None,
    sheet: SheetOption = None,
    records: RecordsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the records.")
    ] = False,
) -> None:
    """Show what the parser sees: encoding, dialect, header, warnings, and the records as clean CSV.

    Example: bulk-pipeline parse export.txt -o clean.csv
    """
    out = given(out)
    to_folder = out is not None and (len(files) > 1 or out.is_dir())
    if len(files) > 1 and out is not None and out.is_file():
        raise typer.BadParameter(f"{out} is a file: several files need a folder")
    if to_folder and out is not None:
        out.mkdir(parents=True, exist_ok=True)
    declared = upload_format(encoding, sheet=sheet, records=records)
    seen = [
        _parse_one(file, out / file.name if to_folder and out else out, declared, as_json) for file in files
    ]
    if as_json:
        output.print_json(seen if len(files) > 1 else seen[0])
    if any("error" in facts for facts in seen):
        raise typer.Exit(1)


def _parse_one(file: Path, out: Path | None, declared: UploadFormat, as_json: bool) -> dict[str, Any]:
    from bulk_pipeline.stages.parse import open_upload, write_clean_csv

    try:
        with file.open("rb") as stream, _destination(out, as_json) as sink:
            upload = open_upload(stream, file.name, declared=declared)
            failures = write_clean_csv(upload, sink)
    except (FileError, OSError) as error:
        facts: dict[str, Any] = {"file": str(file), "error": getattr(error, "strerror", None) or str(error)}
    else:
        facts = {
            "file": str(file),
            "rows": upload.rows,
            **upload.dialect.as_dict(),
            "warnings": upload.warnings,
            "failure_count": failures.count,
            "failures": failures.first,
        }
    if not as_json:
        _show(facts)
    return facts


@contextmanager
def _destination(out: Path | None, as_json: bool) -> Iterator[BinaryIO]:
    """Where clean CSV goes: a file that appears when it is whole, stdout, or nowhere when JSON takes stdout."""
    if out is not None:
        with whole_file(out) as sink:
            yield sink
    elif as_json:
        with Path("/dev/null").open("wb") as sink:
            yield sink
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


def _show(facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if name == "failures":
            _show_failures(value, facts["failure_count"])
        elif name == "error":
            output.err.print(f"error: {output.text(value)}", style="red", markup=False)
        elif value not in (None, [], {}, ()) and (value or name != "failure_count"):
            output.err.print(f"{name + ':':<15} {output.text(value)}", markup=False, soft_wrap=True)


def _show_failures(first: list[dict[str, Any]], count: int) -> None:
    for failure in first[:_SHOWN_FAILURES]:
        place = f"row {failure['row']}" + (f", line {failure['line']}" if failure["line"] else "")
        output.err.print(f"  {place}: {output.text(failure['message'])}", markup=False, soft_wrap=True)
    if count > _SHOWN_FAILURES:
        output.err.print(f"  and {count - _SHOWN_FAILURES:,} more", markup=False)
