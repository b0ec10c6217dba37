"""`tables`, `schema`: the tables and their columns, templates of files, and the JSON Schema of table files."""

from typing import Annotated

import orjson
import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.schema import Column, Mode, Table


def show_tables(
    table: Annotated[str | None, typer.Argument(help="One table, with all its columns and rules.")] = None,
    template: Annotated[Format | None, typer.Option(help="Print an empty file with the columns.")] = None,
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
                "limits": limits(column),
            }
            for column in table.columns
        ],
        "rules": {rule.name: rule.message for rule in table.rules},
    }


def limits(column: Column) -> str:
    """Return the rules for a cell of the column, in words."""
    rules = [
        f"one of {', '.join(column.choices)}" if column.choices else None,
        column.pattern_name,
        f"at most {column.max_length:,} characters" if column.max_length else None,
        f"at most {column.max_words:,} words" if column.max_words else None,
        f"may start with {column.prefix}" if column.prefix else None,
        "rounded to its decimals" if column.round else None,
        "NaN and infinities allowed" if column.not_finite else None,
        "null elements allowed" if column.null_elements else None,
        "in base64" if column.base64 else None,
        f"{str(column.default).lower()} when empty" if column.default is not None else None,
        "set by the database when empty" if column.generated else None,
    ]
    return "; ".join(rule for rule in rules if rule)


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
    references = {
        name: f"{referred} of {key.parent}"
        for key in table.foreign_keys
        for name, referred in zip(key.columns, key.references, strict=True)
    }
    output.say(f"{table.upload_name}: {table.description}")
    output.print_grid(
        ("column", "type", "required", "limits"),
        (
            (
                column.name,
                references.get(column.name, column.type.facts.label),
                _required(table, column),
                limits(column),
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


def _required(table: Table, column: Column) -> str:
    modes = [mode for mode in Mode if column.name in table.required_columns(mode)]
    if len(modes) == len(Mode):
        return "yes"
    return f"in {modes[0]}" if modes else ""


def _print_template(table: Table, template: Format) -> None:
    match template:
        case Format.CSV:
            typer.echo(",".join(table.column_names))
        case Format.NDJSON:
            typer.echo(orjson.dumps(dict.fromkeys(table.column_names)).decode())
