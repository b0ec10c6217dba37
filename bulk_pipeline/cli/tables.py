"""`tables`, `schema`: the tables and their columns, templates of files, and the JSON Schema of table files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.output_files import output_path, standard_output, whole_file
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.schema.rules_in_words import kind, limits, required


class Template(StrEnum):
    """The formats of templates."""

    CSV = "csv"
    XLSX = "xlsx"
    NDJSON = "ndjson"


def show_tables(
    table: Annotated[str | None, typer.Argument(help="One table, with all its columns and rules.")] = None,
    template: Annotated[
        Template | None,
        typer.Option(help="Write a file to fill in, with the columns; xlsx has the rules, too."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Write the template to this file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the tables, or one table's columns, keys and rules.

    A template leaves out ids, times and computed columns that the database makes. As a workbook it has drop-downs, the
    formats of the types, and the rules of each column as a note on its name; names of required columns are bold.

    Example: bulk-pipeline tables users --template xlsx -o users.xlsx
    """
    if out is not None and template is None:
        raise typer.BadParameter("-o is for a template: say --template csv or xlsx")
    if table is None:
        if template is not None:
            raise typer.BadParameter("name the table that the template is for")
        _show_all(as_json)
    elif template is not None:
        _print_template(tables.get(table), template, output_path(out))
    elif as_json:
        output.print_json(describe(tables.get(table)))
    else:
        _show_one(tables.get(table))


def print_schema() -> None:
    """Print the JSON Schema of table files, by which editors complete and check them.

    Example: bulk-pipeline schema > table.schema.json
    """
    from bulk_pipeline.schema.table_files import json_schema

    output.print_json(json_schema())


def describe(table: Table) -> dict[str, object]:
    """Return the declaration as plain values."""
    return {
        "table": table.upload_name,
        "description": table.description,
        "default_mode": table.default_mode,
        "primary_key": list(table.primary_key),
        "unique_keys": [list(key.columns) for key in table.further_keys],
        "required_for": {mode: list(table.required_columns(mode)) for mode in Mode},
        "foreign_keys": [
            {"columns": list(key.columns), "table": str(key.parent), "references": list(key.references)}
            for key in table.foreign_keys
        ],
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "required": column.required,
                "limits": "; ".join(limits(column)),
            }
            for column in table.columns
        ],
        "rules": {rule.name: rule.message for rule in table.rules},
    }


def _show_all(as_json: bool) -> None:
    declared = tables.in_load_order()
    if as_json:
        output.print_json([describe(table) for table in declared])
        return
    output.print_grid(
        ("table", "primary key", "unique keys", "refers to", "default mode", "description"),
        (
            (
                t.upload_name,
                ", ".join(t.primary_key),
                "; ".join(map(str, t.further_keys)),
                ", ".join(t.parents),
                t.default_mode,
                t.description,
            )
            for t in declared
        ),
    )


def _show_one(table: Table) -> None:
    output.say(f"{table.upload_name}: {table.description}")
    output.print_grid(
        ("column", "type", "required", "limits"),
        (
            (
                column.name,
                kind(table, column),
                required(table, column),
                "; ".join(limits(column)),
            )
            for column in table.columns
        ),
    )
    if table.primary_key:
        output.say(f"primary key: {', '.join(table.primary_key)}")
    for key in table.further_keys:
        output.say(f"unique key: {key}")
    for rule in table.rules:
        output.say(f"rule {rule.name}: {rule.message}")


def _print_template(table: Table, template: Template, out: Path | None) -> None:
    from bulk_pipeline.stages import templates

    match template:
        case Template.CSV:
            content = templates.csv_template(table)
        case Template.XLSX:
            content = templates.workbook_template(table)
        case Template.NDJSON:
            names = (column.name for column in templates.columns(table))
            content = orjson.dumps(dict.fromkeys(names)) + b"\n"
    if out is None and template is Template.XLSX and output.is_terminal():
        raise typer.BadParameter("a workbook is not shown here: name a file with -o")
    with standard_output() if out is None else whole_file(out) as file:
        file.write(content)
