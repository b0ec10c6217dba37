"""`adopt`: declarations of tables that the database has."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, stores_of
from bulk_pipeline.cli.project import project_folder
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import TableName
from bulk_pipeline.settings import TABLES_FOLDER

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.adoption import Adoption
    from bulk_pipeline.postgres.catalogue import CatalogueTable


def adopt(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SCHEMA.]TABLE", help="The tables.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Adopt all tables of the schema.")] = False,
    schema: Annotated[
        str | None, typer.Option(help="The schema of --all, and of tables without one; else all, and public.")
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Let files that exist follow their tables; what was written by hand stays."
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write the declarations of tables that the database has into the project, and print what was decided, and why.

    Tables are only read. Files that exist are kept, unless --update is given. Exit 1 if a table cannot be adopted.

    Example: bulk-pipeline adopt shop.orders shop.order_lines
    """
    if bool(names) == every:
        raise typer.BadParameter("name tables, or give --all")
    folder = project_folder() / TABLES_FOLDER
    adoptions = _adoptions(names or [], schema, home)
    for adoption in adoptions:
        _write(adoption, folder, update=update)
    grants = dict.fromkeys(statement for adoption in adoptions for statement in adoption.grants)
    if grants:
        output.say("the loader's role lacks rights; as the owner of the tables, run:")
        for statement in grants:
            output.say(f"  {statement}")
    if any(adoption.problem for adoption in adoptions):
        raise typer.Exit(1)


def _adoptions(names: list[str], schema: str | None, home: Path) -> "list[Adoption]":
    from bulk_pipeline.pipeline.adoption import adopt
    from bulk_pipeline.postgres import catalogue

    with stores_of(home).postgres.transaction() as connection:
        role = catalogue.loader(connection)
        found: list[CatalogueTable]
        if names:
            asked = [_name(name, schema) for name in names]
            found = catalogue.tables_named(connection, [(name.schema, name.name) for name in asked], role)
        else:
            found = catalogue.all_tables(connection, role, schema=schema)
    return [adopt(table, role) for table in found]


def _name(text: str, schema: str | None) -> TableName:
    name = TableName.parse(text)
    is_bare = str(name) == text
    return TableName(schema, name.name) if schema and is_bare else name


def _write(adoption: "Adoption", folder: Path, *, update: bool) -> None:
    """Write the file of one table, and print what was decided."""
    if adoption.text is None:
        output.say(f"{adoption.name} cannot be adopted: {adoption.problem}")
        return
    source = _source(adoption.name)
    path = folder.parent / source if source else folder / f"{adoption.upload_name}.yaml"
    if not path.exists():
        path.write_text(adoption.text)
        output.say(f"{adoption.name}: created {path}")
    elif update:
        _update(adoption, path)
        return
    else:
        output.say(f"{adoption.name}: kept {path}; --update lets it follow the table")
    output.print_grid(
        ("column", "type", "declared", "why"),
        ((note.column, note.type, note.declared, "; ".join(note.reasons)) for note in adoption.notes),
        indent=2,
    )
    for warning in adoption.warnings:
        output.say(f"  {warning}")


def _source(name: TableName) -> str | None:
    """Return the file, from the project on, that declares the table; None if none does."""
    registry = tables.served()
    names = {table.qualified_name: table.upload_name for table in registry.in_load_order()}
    return registry.source_of(names[name]) if name in names else None


def _update(adoption: "Adoption", path: Path) -> None:
    from bulk_pipeline.schema.table_files import read_table
    from bulk_pipeline.schema.table_files.update import update

    if path.suffix == ".py":
        output.say(f"{adoption.name}: {path} is Python: change it by hand")
        return
    found = update(path.read_text(), path.name, adoption.content)
    if not found.changes:
        output.say(f"{adoption.name}: {path} follows the table")
        return
    path.write_text(found.text)
    output.say(f"{adoption.name}: updated {path}")
    for change in found.changes:
        output.say(f"  {change}")
    try:
        read_table(found.text, path.name, lambda check: _update)  # what a rule computes is not looked at
    except DeclarationError as error:
        output.say(f"  correct the rest by hand: {error}")
