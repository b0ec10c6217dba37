"""`parse`: show what the parser sees in a file, without a table and without a stack."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.options import takes_upload_format
from bulk_pipeline.cli.output_files import (
    distinct_names,
    is_special,
    make_folder,
    output_path,
    standard_output,
    whole_file,
)
from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline.stages.export.formats import CommandFormats, Format, of_file

_CLEAN_CSV = CommandFormats((Format.CSV,), packs=False)

_SHOWN_FAILURES = 10


@takes_upload_format("encoding", "delimiter", "quote", "header_row", "sheet", "records")
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
            help="Write clean CSV here: a file, or a folder for several files.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the records.")
    ] = False,
    *,
    declared: UploadFormat,
) -> None:
    """Show what the parser sees: encoding, dialect, header, warnings, and the records as clean CSV.

    Example: bulk-pipeline parse export.txt -o clean.csv
    """
    out = output_path(out)
    if len(files) > 1 and out is not None and out.is_file():
        raise typer.BadParameter(f"{out} is a file: several files need a folder", param_hint="-o")
    outs = _outs(files, out)
    documents = [_parse(file, path, declared, as_json) for file, path in zip(files, outs, strict=True)]
    if as_json:
        output.print_json(documents if len(files) > 1 else documents[0])
    if any("error" in document for document in documents):
        raise typer.Exit(1)


def _outs(files: list[Path], out: Path | None) -> list[Path | None]:
    """Return the output file of each file. Raises `SelectionError` for a name that implies another format."""
    if out is None:
        return [None] * len(files)
    if len(files) == 1 and not out.is_dir():
        if not is_special(out):
            of_file(out.name, Format.CSV, written=_CLEAN_CSV)
        return [out]
    make_folder(out)
    names = [f"{name.removesuffix('.csv')}.csv" for name in distinct_names(file.name for file in files)]
    return [out / name for name in names]


def _parse(file: Path, out: Path | None, declared: UploadFormat, as_json: bool) -> dict[str, Any]:
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
    """Open the output: a file that appears once it is complete, stdout, or nothing if stdout gets JSON."""
    if out is not None:
        with whole_file(out) as sink:
            yield sink
    elif as_json:
        with Path(os.devnull).open("wb") as sink:
            yield sink
    else:
        with standard_output() as sink:
            yield sink


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
