"""`propose`: settings for a file, from a sample of its cells, or a table for it, from all of them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.options import takes_upload_format
from bulk_pipeline.cli.project import project_folder
from bulk_pipeline.errors import DeclarationError, FileError, SettingsError
from bulk_pipeline.schema import NOTHING_DECLARED, Table, TableName, UploadFormat

if TYPE_CHECKING:
    from bulk_pipeline.stages.parse import Upload
    from bulk_pipeline.stages.proposals.code_pages import Open
    from bulk_pipeline.stages.proposals.settings import Proposal

_UNDECIDED = 3
"""Exit status if something about the file is not explained."""


@takes_upload_format("encoding", "delimiter", "quote", "header", "header_row", "columns", "sheet", "records")
def propose(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="A CSV file or a workbook; for a new table any format."
        ),
    ],
    table: Annotated[str | None, typer.Option(help="The table that the file is for.")] = None,
    new_table: Annotated[
        str | None,
        typer.Option(
            "--new-table",
            metavar="[SCHEMA.]TABLE",
            help="Propose a new table for the file; the table must not exist.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Propose settings for this profile, which may be new.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the proposal into the project's files, too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --new-table --write: replace files that exist.")
    ] = False,
    *,
    declared: UploadFormat,
) -> None:
    """Print the settings of the upload format that a file needs, as YAML: its code page, names that are near columns,
    and the notation of its cells, each with a cell that only this setting allows. Looks at the first 100,000 rows.
    Exit 3: something is explained by no setting, or by two.

    With --new-table: print the declaration of a table that holds every cell of the file as it is, and its CREATE TABLE,
    with the evidence for each type, NOT NULL and key. Reads the whole file. Nothing is done in a database. Exit 3: some
    rows would be rejected.

    Example: bulk-pipeline propose orders.csv --table orders --write
    """
    if (table is None) == (new_table is None):
        raise typer.BadParameter("give --table or --new-table")
    try:
        if new_table is not None:
            undecided = _propose_table(file, new_table, declared, write=write, overwrite=overwrite)
        else:
            undecided = _propose_settings(file, tables.get(str(table)), profile, declared, write=write)
    except FileError as error:
        raise FileError(error.code, f"{file}: {error}") from error
    if undecided:
        raise typer.Exit(_UNDECIDED)


def _propose_settings(
    file: Path, into: Table, profile: str | None, declared: UploadFormat, *, write: bool
) -> bool:
    """Print the settings, and return whether cells are left that none explains."""
    from bulk_pipeline.stages.proposals.settings import propose_for

    keys = ("profiles", profile) if profile else ("upload_format",)
    known = into.profile_format(profile) if profile in dict(into.profiles) else into.upload_format
    with _opener(file) as open_:
        proposal = propose_for(open_, _without_notation(into), declared, known.without_notation())
    _print(file, keys, proposal)
    if write and proposal.settings:
        own = dict(into.profiles).get(profile, NOTHING_DECLARED) if profile else into.upload_format
        values = {setting.name: setting.value for setting in proposal.settings}
        if "columns" in values:
            values["columns"] = dict(own.columns) | values["columns"]
        _write(into, keys, values)
    return bool(proposal.undecided)


def _without_notation(table: Table) -> Table:
    return replace(table, upload_format=table.upload_format.without_notation(), profiles=())


def _print(file: Path, keys: tuple[str, ...], proposal: "Proposal") -> None:
    from bulk_pipeline.schema.table_files.layout import flow

    output.say(f"# {file.name}, {proposal.rows:,} {'row' if proposal.rows == 1 else 'rows'}")
    if not proposal.settings:
        output.say("# its cells need no setting")
    else:
        for depth, key in enumerate(keys):
            output.say(f"{'  ' * depth}{key}:")
        for setting in proposal.settings:
            entry = flow({setting.name: setting.value})[1:-1]
            output.say(f"{'  ' * len(keys)}{entry}  # {setting.evidence}")
    for sentence in (*proposal.undecided, *proposal.notes):
        output.say(f"# {sentence}")


def _write(table: Table, keys: tuple[str, ...], values: dict[str, Any]) -> None:
    from bulk_pipeline.schema.table_files.update import declare

    registry = tables.served()
    source = registry.source_of(table.upload_name) if registry.project is not None else None
    if registry.project is None or source is None or not source.endswith(".yaml"):
        raise DeclarationError(
            f"{table.upload_name} is not declared in a table file of a project: write it by hand"
        )
    path = registry.project / source
    changed = declare(path.read_text(), path.name, keys, values)
    path.write_text(changed.text)
    output.say(f"# wrote {path}: {'; '.join(changed.changes) or 'nothing new'}")


def _propose_table(file: Path, name: str, declared: UploadFormat, *, write: bool, overwrite: bool) -> bool:
    """Print the table, and return whether an import of the file would leave something out."""
    from bulk_pipeline.stages.proposals.new_table import files, propose_table

    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-propose-") as folder, _opener(file) as open_:
        new = propose_table(open_, TableName.parse(name), declared, file.name, Path(folder))
    texts = files(new)
    for line in "\n".join(texts.values()).splitlines():
        output.say(line)
    for sentence in new.undecided:
        output.say(f"# {sentence}")
    if write:
        _write_files(texts, overwrite=overwrite)
    return bool(new.undecided)


@contextmanager
def _opener(file: Path) -> "Iterator[Open]":
    """Yield a function that opens the file from its begin."""
    from bulk_pipeline.stages.parse import open_upload

    with file.open("rb") as stream:

        def open_(table: Table | None, declared: UploadFormat) -> "Upload":
            stream.seek(0)
            return open_upload(stream, file.name, table=table, declared=declared)

        yield open_


def _write_files(texts: dict[str, str], *, overwrite: bool) -> None:
    """Write the files into the project. Raises `SettingsError` without one, and for files that exist."""
    paths = {project_folder() / path: text for path, text in texts.items()}
    existing = next((path for path in paths if path.exists()), None)
    if existing is not None and not overwrite:
        raise SettingsError(f"{existing} exists: choose another name, or give --overwrite")
    for path, text in paths.items():
        path.write_text(text)
        output.say(f"# wrote {path}")
