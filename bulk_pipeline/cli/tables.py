"""`tables`: what can be imported, and a file to fill in."""

from enum import StrEnum
from typing import Annotated

import orjson
import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.schema import Column, ColumnType, Mode, Table


class Template(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


_TYPE_NAMES = {
    ColumnType.UUID: "uuid",
    ColumnType.TEXT: "text",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.TIMESTAMP: "ISO 8601 time",
    ColumnType.TEXT_ARRAY: "JSON array of texts",
}


def show_tables(
    table: Annotated[str | None, typer.Argument(help="One table, with all its columns and rules.")] = None,
    template: Annotated[Template | None, typer.Option(help="Print a file to fill in.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the tables, or one table's columns, keys and rules.

    Example: bulk-pipeline tables users --template csv > users.csv
    """
    if table is None:
        if template is not None:
            raise typer.BadParameter("name the table that the template is for")
        _show_all(as_json)
    elif template is not None:
        _print_template(tables.get(table), template)
    elif as_json:
        output.print_json(describe(tables.get(table)))
    else:
        _show_one(tables.get(table))


def describe(table: Table) -> dict[str, object]:
    """The declaration as plain values."""
    return {
        "table": table.name,
        "description": table.description,
        "default_mode": table.default_mode,
        "natural_key": table.natural_key,
        "id_required_for": [mode for mode in Mode if table.requires_id(mode)],
        "foreign_keys": {key.column: key.table for key in table.foreign_keys},
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "limits": limits(column),
            }
            for column in table.columns
        ],
        "rules": {rule.name: rule.message for rule in table.rules},
    }


def limits(column: Column) -> str:
    """What a cell of the column must keep to, in words."""
    said = [
        f"one of {', '.join(column.choices)}" if column.choices else None,
        column.pattern_name,
        f"at most {column.max_length:,} characters" if column.max_length else None,
        f"at most {column.max_words:,} words" if column.max_words else None,
        f"may start with {column.prefix}" if column.prefix else None,
        f"{str(column.default).lower()} when empty" if column.default is not None else None,
        "made by the database when empty" if column.generated else None,
    ]
    return "; ".join(text for text in said if text)


def _show_all(as_json: bool) -> None:
    declared = tables.in_load_order()
    if as_json:
        output.print_json([describe(table) for table in declared])
        return
    output.print_grid(
        ("table", "natural key", "refers to", "default mode", "description"),
        ((t.name, t.natural_key, ", ".join(t.parents), t.default_mode, t.description) for t in declared),
    )


def _show_one(table: Table) -> None:
    references = {key.column: f"id of {key.table}" for key in table.foreign_keys}
    output.say(f"{table.name}: {table.description}")
    output.print_grid(
        ("column", "type", "required", "limits"),
        (
            (
                column.name,
                references.get(column.name, _TYPE_NAMES[column.type]),
                _required(table, column),
                limits(column),
            )
            for column in table.columns
        ),
    )
    for rule in table.rules:
        output.say(f"rule {rule.name}: {rule.message}")


def _required(table: Table, column: Column) -> str:
    modes = [mode for mode in Mode if column.name in table.required_columns(mode)]
    if len(modes) == len(Mode):
        return "yes"
    return f"in {modes[0]}" if modes else ""


def _print_template(table: Table, template: Template) -> None:
    match template:
        case Template.CSV:
            typer.echo(",".join(table.column_names))
        case Template.NDJSON:
            typer.echo(orjson.dumps(dict.fromkeys(table.column_names)).decode())
