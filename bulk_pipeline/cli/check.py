"""`check`: parse and validate files without a stack, and write the rows and reports an import would write."""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import JsonOption
from bulk_pipeline.cli.options import takes_upload_format
from bulk_pipeline.cli.output_files import distinct_names, make_folder, whole_file
from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.report_names import ERRORS_CSV, ERRORS_NDJSON, REJECTED_ROWS, WORKBOOK

_FIRST_FAILURES = 10
_SHOWN_VALUE = 20
_NOT_CHECKED = "not checked without the database: keys in the table, references, constraints of the database"
ACCEPTED = "accepted.csv"
_REPORTS = (ERRORS_CSV, ERRORS_NDJSON, *REJECTED_ROWS, WORKBOOK, ACCEPTED)


@takes_upload_format()
def check_files(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Files, compressed or not.")
    ],
    table: Annotated[str, typer.Option(help="The table to check the rows against.")],
    mode: Annotated[Mode | None, typer.Option(help="The mode of the later import.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write accepted.csv, errors.csv, errors.ndjson and rejected.* here; several files get a folder "
            "each.",
        ),
    ] = None,
    as_json: JsonOption = False,
    *,
    declared: UploadFormat,
) -> None:
    """Parse and validate files without importing them.

    Only an import finds rows whose keys are in the table, whose references do not exist, or that break constraints of
    the database. Exit 0: every row accepted; 3: some rejected; 1: a file cannot be read.

    Example: bulk-pipeline check users.csv --table users -o reports
    """
    into = tables.get(table)
    folders = _folders(files, out)
    documents = []
    for file, folder in zip(files, folders, strict=True):
        documents.append(_check(file, into, mode or into.default_mode, declared, folder))
        if not as_json:
            _show(documents[-1])
    if as_json:
        output.print_json(documents if len(documents) > 1 else documents[0])
    elif any("error" not in document for document in documents):
        output.say(_NOT_CHECKED)
    if any("error" in document for document in documents):
        raise typer.Exit(1)
    if any(document["rejected"] for document in documents):
        raise typer.Exit(3)


def _folders(files: list[Path], out: Path | None) -> list[Path | None]:
    """Return the output folder of each file. `typer.BadParameter` if a checked file would be overwritten."""
    if out is None:
        return [None] * len(files)
    folders = (
        [out / name for name in distinct_names(file.name for file in files)] if len(files) > 1 else [out]
    )
    written = {(folder / name).resolve() for folder in folders for name in _REPORTS}
    for file in files:
        if file.resolve() in written:
            raise typer.BadParameter(
                f"{file} would be overwritten by a report: choose another folder", param_hint="-o"
            )
    return list(folders)


def _check(file: Path, table: Table, mode: Mode, declared: UploadFormat, out: Path | None) -> dict[str, Any]:
    from bulk_pipeline.pipeline.check import check_file

    facts: dict[str, Any] = {"file": str(file), "table": table.upload_name, "mode": mode}
    try:
        with tempfile.TemporaryDirectory(prefix="bulk-pipeline-check-") as folder, file.open("rb") as stream:
            reports = Path(folder)
            accepted = _accepted(out) if out else None
            done = check_file(stream, file.name, table, mode, reports, declared=declared, accepted=accepted)
            paths = [_copy(reports / name, out) for name in done.reports] if out else []
            if out:
                _remove_older(out, {ACCEPTED, *done.reports})
    except FileError as error:
        if out:
            _remove_older(out, set())
        return facts | {"error": str(error), "code": error.code}
    return facts | {
        "total": done.rows,
        "good": done.good,
        "rejected": done.rows - done.good,
        "failures": done.reported.codes,
        "first_failures": done.reported.first.slice(0, _FIRST_FAILURES).to_pylist(),
        "warnings": done.warnings,
        "dialect": done.dialect.as_dict(),
        "reports": paths,
        "accepted": str(out / ACCEPTED) if out else None,
    }


@contextmanager
def _accepted(out: Path) -> Iterator[BinaryIO]:
    make_folder(out)
    with whole_file(out / ACCEPTED) as file:
        yield file


def _copy(report: Path, out: Path) -> str:
    with report.open("rb") as source, whole_file(out / report.name) as file:
        shutil.copyfileobj(source, file)
    return str(out / report.name)


def _remove_older(out: Path, written: set[str]) -> None:
    """Remove the reports of an earlier check."""
    for name in _REPORTS:
        if name not in written:
            (out / name).unlink(missing_ok=True)


def _show(document: dict[str, Any]) -> None:
    if "error" in document:
        output.say(f"{document['file']}: cannot be read: {document['error']}")
        return
    output.say(
        f"{document['file']}: {_rows(document['good'])} accepted, {document['rejected']:,} rejected "
        f"({document['table']}, {document['mode']})"
    )
    for warning in document["warnings"]:
        output.say(f"  warning: {warning}")
    _show_failures(document)
    for path in filter(None, [document["accepted"], *document["reports"]]):
        output.say(f"  wrote {path}")


def _show_failures(document: dict[str, Any]) -> None:
    first = document["first_failures"]
    if not first:
        return
    line = "sheet row" if document["dialect"]["format"] == "xlsx" else "line"
    names = {"row": "row", "line": line, "column": "column", "value": "value", "message": "problem"}
    columns = {
        title: [_cell(failure[name], name) for failure in first]
        for name, title in names.items()
        if any(failure[name] is not None for failure in first)
    }
    for title in ("row", line) if line in columns else ("row",):
        columns[title] = [cell.rjust(max(len(title), *map(len, columns[title]))) for cell in columns[title]]
    output.print_grid(tuple(columns), zip(*columns.values(), strict=True), indent=2, dispensable=("value",))
    total = sum(document["failures"].values())
    if total > len(first):
        hint = "" if document["reports"] else "; -o FOLDER writes all of them"
        output.say(f"  … and {total - len(first):,} more{hint}")
    output.say(f"  failures by code: {output.text(document['failures'])}")
    if document["failures"].get("bad_type", 0) >= document["total"] / 2:
        file = shlex.quote(document["file"])
        output.say("  if the file writes dates or numbers another way, find out how to declare it:")
        output.say(f"    bulk-pipeline propose {file} --table {document['table']}")


def _cell(value: object, name: str) -> str:
    """Return a cell's text: numbers without commas, so that editors find them; long values are cut, messages not."""
    text = "" if value is None else str(value)
    return f"{text[: _SHOWN_VALUE - 1]}…" if name == "value" and len(text) > _SHOWN_VALUE else text


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
