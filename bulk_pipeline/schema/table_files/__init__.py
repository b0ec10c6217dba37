"""Declarations as data: a table in a YAML file, and the JSON Schema of such files.

`nodes` reads strict YAML, `keys` lists the known keys, `shapes` reads their values and refuses unknown and missing
keys, `layout` writes files, and `update` follows a table that has changed.
"""

from collections.abc import Callable
from typing import Any

import yaml

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.table import Table
from bulk_pipeline.schema.table_files import layout
from bulk_pipeline.schema.table_files.keys import TABLE
from bulk_pipeline.schema.table_files.nodes import Place, parse
from bulk_pipeline.schema.table_files.shapes import Source

__all__ = ["SCHEMA_FILE", "json_schema", "plain", "plain_text", "read_table", "write_table"]

SCHEMA_FILE = "table.schema.json"
"""The name of the JSON Schema in a project folder. The first line of each table file names it, for editors."""


def read_table(text: str, file: str, find_check: Callable[[str], Any] | None = None) -> Table:
    """Return the table that the text of a file declares.

    `find_check` returns the function that a rule names as `module:function`, or raises `DeclarationError`. Raises
    `DeclarationError`, which names `file` and the line.
    """
    node = parse(text, file)
    source = Source(Place(file), _column_names(node), find_check or _no_checks)
    return TABLE.read(node, source)


def write_table(table: Table) -> str:
    """Return the text of a file that declares the table. `DeclarationError` for a rule that no module names."""
    return plain_text(plain(table))


def plain_text(content: dict[str, Any]) -> str:
    """Return the text of a file with this content."""
    return f"# yaml-language-server: $schema=../{SCHEMA_FILE}\n{layout.dump(content)}"


def plain(table: Table) -> dict[str, Any]:
    """Return the content of the table's file: texts, booleans, whole numbers, lists and dicts."""
    return TABLE.plain(table)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of table files, for editors and other programs."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A table of bulk-pipeline",
        **TABLE.json_schema(),
    }


def _column_names(node: yaml.Node) -> tuple[str, ...]:
    """Return the names of the declared columns, which keys and rules refer to."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "columns" and isinstance(value, yaml.MappingNode):
            return tuple(str(name.value) for name, _ in value.value)
    return ()


def _no_checks(reference: str) -> Any:
    raise DeclarationError(f"{reference}: rules as code are found in a project folder only")
