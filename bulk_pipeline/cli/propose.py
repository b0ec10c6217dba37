"""`propose`: the notation of a file, from a sample of its cells."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.options import takes_upload_format
from bulk_pipeline.errors import DeclarationError, FileError
from bulk_pipeline.schema import Table, UploadFormat

if TYPE_CHECKING:
    from bulk_pipeline.stages.proposals import Proposal


@takes_upload_format("encoding", "delimiter", "quote", "header", "header_row", "columns", "sheet")
def propose(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file or a workbook.")],
    table: Annotated[str, typer.Option(help="The table that the file is for.")],
    profile: Annotated[
        str | None, typer.Option(help="Propose settings for this profile, which may be new.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the settings into the table's file, too.")
    ] = False,
    *,
    declared: UploadFormat,
) -> None:
    """Print the settings of the upload format that the cells of a file need, as YAML, each with a cell that only this
    setting allows. Looks at the first 100,000 rows. Exit 3: some cells are explained by no setting, or by two.

    Example: bulk-pipeline propose orders.csv --table orders --write
    """
    from bulk_pipeline.stages.parse import open_upload
    from bulk_pipeline.stages.proposals import MARKED
    from bulk_pipeline.stages.proposals import propose as proposal_of

    into = tables.get(table)
    keys = ("profiles", profile) if profile else ("upload_format",)
    with file.open("rb") as stream:
        known = into.profile_format(profile) if profile in dict(into.profiles) else into.upload_format
        base = declared.over(known.without_notation()).over(MARKED)
        try:
            upload = open_upload(stream, file.name, table=_without_notation(into), declared=base)
            proposal = proposal_of(upload, into)
        except FileError as error:
            raise FileError(error.code, f"{file}: {error}") from error
    _print(file, keys, proposal)
    if write and proposal.settings:
        _write(into, keys, {setting.name: setting.value for setting in proposal.settings})
    if proposal.undecided:
        raise typer.Exit(3)


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
