"""Derives the declaration of a table from the catalogue, with reasons for each column and what is not possible.

Pure: it gets tables of `postgres.catalogue`. Nothing is added to a table of the user.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.pipeline.simple_checks import simple_checks
from bulk_pipeline.postgres.catalogue import (
    CatalogueCheck,
    CatalogueColumn,
    CatalogueTable,
    RelationKind,
    TypeKind,
    grants,
)
from bulk_pipeline.schema import TableName, bounds
from bulk_pipeline.schema.keys import DEFAULT_SCHEMA
from bulk_pipeline.schema.table_files import plain_text, read_table

_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class ColumnNote:
    """The declaration of a column: its type, its other keys, and a sentence with the reason of each decision."""

    column: str
    type: str
    declared: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Adoption:
    """A table's declaration as the text of a file, and what people have to know.

    `content`: the same as dicts, lists and texts. `text` is None if the table cannot be adopted, for the `problem`.
    `warnings`: what holds besides the declaration, a sentence each. `grants`: statements that give the role the rights
    it lacks.
    """

    name: TableName
    upload_name: str
    text: str | None
    content: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[ColumnNote, ...] = ()
    warnings: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    problem: str | None = None


def adopt(table: CatalogueTable, role: str) -> Adoption:
    """Return the declaration of a table. `role`: the login that is to load it, which the table's `lacks` is about."""
    adoption = Adoption(_name(table), upload_name(table), None)
    if (problem := _problem(table, role)) is not None:
        return replace(adoption, problem=problem)
    checks = simple_checks(table)
    columns, notes = dict[str, dict[str, Any]](), list[ColumnNote]()
    for column in table.columns:
        declared, reasons = _declared(column, checks.keys.get(column.name, {}))
        columns[column.name] = declared
        notes.append(ColumnNote(column.name, declared["type"], _shown(declared), tuple(reasons)))
    adoption = replace(adoption, notes=tuple(notes))
    content = _document(table, columns)
    text = plain_text(content)
    try:
        read_table(text, f"{adoption.upload_name}.yaml")
    except DeclarationError as error:
        return replace(adoption, problem=f"it cannot be declared: {error}")
    warnings = tuple(_warnings(table, checks.others))
    return replace(adoption, text=text, content=content, warnings=warnings, grants=tuple(grants(table, role)))


def upload_name(table: CatalogueTable) -> str:
    """Return the table's name for uploads and for its file: characters that a folder name cannot have are replaced by
    `_`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", str(_name(table))).strip("_.")[:_NAME_CHARACTERS] or "table"


def _name(table: CatalogueTable) -> TableName:
    return TableName(table.schema, table.name)


def _problem(table: CatalogueTable, role: str) -> str | None:
    """Return why the relation cannot be loaded whatever is declared, with what to do instead."""
    match table.kind:
        case RelationKind.VIEW | RelationKind.MATERIALIZED_VIEW:
            return "it is a view: adopt the tables that it selects from"
        case RelationKind.TABLE | RelationKind.PARTITIONED | RelationKind.FOREIGN:
            pass
    if not table.columns:
        return "it has no columns"
    if table.bars_inserts:
        return (
            f"row-level security applies to {role}, and no policy lets it insert rows: create a policy FOR INSERT, or "
            f"let the owner or a role with BYPASSRLS load (ALTER ROLE {role} BYPASSRLS)"
        )
    return None


def _document(table: CatalogueTable, columns: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the content of the file, without what is empty."""
    primary_key = table.primary_key
    content: dict[str, Any] = {
        "schema": table.schema if table.schema != DEFAULT_SCHEMA else None,
        "name": table.name,
        "upload_name": upload_name(table) if upload_name(table) != str(_name(table)) else None,
        "description": " ".join(table.comment.split()) if table.comment else None,
        "columns": columns,
        "primary_key": list(primary_key.columns) if primary_key else None,
        "unique_keys": [
            list(key.columns)
            if key.nulls_distinct
            else {"columns": list(key.columns), "nulls_distinct": False}
            for key in _further_keys(table)
        ],
        "foreign_keys": [
            {
                "columns": list(key.columns),
                "table": str(TableName(key.schema, key.table)),
                "references": list(key.references),
            }
            for key in table.foreign_keys
        ],
        "after": list(
            dict.fromkeys(str(TableName(key.schema, key.table)) for key in table.partial_foreign_keys)
        ),
    }
    return {key: value for key, value in content.items() if value}


def _further_keys(table: CatalogueTable) -> Iterator[Any]:
    """Yield the unique keys besides the primary key; of several with the same columns the first."""
    primary_key = table.primary_key
    seen = {frozenset(primary_key.columns)} if primary_key else set[frozenset[str]]()
    for key in table.keys:
        if frozenset(key.columns) not in seen:
            seen.add(frozenset(key.columns))
            yield key


def _declared(column: CatalogueColumn, checked: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of a column, and why they are there. `checked`: those that follow from checks."""
    declared: dict[str, Any] = {"type": _type(column)}
    reasons: list[str] = []
    if column.domain:
        reasons.append(f"a domain over {column.base_type}, whose rules the database checks")
    elif column.kind is TypeKind.ENUM and not column.is_array:
        reasons.append("an enum, whose labels are the choices")
    elif column.kind is not TypeKind.BASE or "." in declared["type"]:
        reasons.append("travels as text, which the database reads and checks")
    if column.generated is not None:
        declared["generated"] = "always"
        return declared, [
            *reasons,
            f"computed by the database, {column.generated}: values of files are ignored",
        ]
    if column.identity or column.is_serial:
        declared["identity"] = column.identity or "serial"
        reasons.append("numbered by a sequence, which is moved behind the numbers that files bring")
    elif column.default is not None and column.is_required:
        declared["generated"] = "default"
        reasons.append(f"an empty cell gets the default, {column.default}")
    elif column.default is not None:
        reasons.append(
            f"an empty cell is NULL; rows of files without the column get the default, {column.default}"
        )
    elif column.is_required:
        declared["required"] = True
        reasons.append("NOT NULL, without a default")
    if column.kind is TypeKind.ENUM and not column.is_array and not column.domain:
        declared["choices"] = list(column.labels)
    if declared.get("required") and _holds_empty(column, checked.get("choices")):
        declared["blank"] = True
        reasons.append("an empty text is a value")
    if column.is_array and not column.domain:
        declared["null_elements"] = True
        reasons.append("its elements may be NULL")
    declared |= checked
    reasons += dict.fromkeys(_REASONS[key] for key in checked)
    return declared, reasons


def _holds_empty(column: CatalogueColumn, choices: list[str] | None) -> bool:
    """Return whether an empty text is a value of the column, as far as its type and the choices tell."""
    is_text = not column.domain and not column.is_array and _type(column).startswith(_TEXTS)
    return is_text and (choices is None or "" in choices)


def _type(column: CatalogueColumn) -> str:
    """Return the type for the file, with all dimensions of an array. Types of extensions that are known by their name
    alone lose their schema."""
    type_ = column.type + "[]" * (column.dimensions - 1)
    schema, dot, bare = type_.partition(".")
    is_extension = dot and column.kind is TypeKind.BASE and not column.domain and schema.isidentifier()
    if is_extension and bare.split("(")[0].rstrip("[]") in _KNOWN_EXTENSIONS:
        return bare
    return type_


_REASONS = {
    "choices": "a CHECK lists the values",
    "max_length": "a CHECK limits the length",
    **dict.fromkeys(("pattern", "pattern_name"), "a CHECK has the pattern"),
    **dict.fromkeys(bounds.NAMES, "a CHECK limits the range"),
}
"""By the key of a column that follows from a CHECK."""
_TEXTS = ("text", "character", "bpchar", "citext")
_KNOWN_EXTENSIONS = {
    *("citext", "hstore", "ltree", "lquery", "ltxtquery", "cube", "seg", "geometry", "geography", "vector")
}


def _warnings(table: CatalogueTable, checks: list[CatalogueCheck]) -> Iterator[str]:
    if not table.keys:
        yield "no key: insert_only takes every row without looking for duplicates, and upsert is not possible"
    for check in checks:
        yield f"{check.name} is checked by the database alone: {check.definition}"
    for key in table.partial_foreign_keys:
        columns, parent = ", ".join(key.columns), TableName(key.schema, key.table)
        yield f"the database checks in some partitions alone that {columns} refers to {parent}, whose files go first"
    for index in table.uniqueness:
        yield f"{index.name} is checked by the database alone: {index.definition}"
    for key in table.keys:
        if key.is_deferrable:
            yield f"{key.name} is deferrable: rows are inserted and updated without ON CONFLICT, which is slower"
    for trigger in table.triggers:
        changes = "may change or refuse rows" if trigger.may_change_rows else "runs for what is loaded"
        yield f"the trigger {trigger.name} {changes}; counts are what the database says it did"
    for rule in table.rules:
        yield f"the rule {rule} does not apply to rows that are inserted: COPY skips rules"
    if table.has_policies:
        yield (
            "row-level security applies: rows that a policy refuses are rejected, rows that it hides are not seen, and "
            "exports are refused until export_visible_rows: true is declared"
        )
    if table.is_partition:
        yield "a partition: adopt the partitioned table instead, if files hold rows of several partitions"
    if table.kind is RelationKind.FOREIGN:
        yield "a foreign table: its server decides what is possible, and transactions may not be"


def _shown(declared: dict[str, Any]) -> str:
    """Return the keys of a column besides its type, on one line."""
    return "; ".join(
        f"{key}: {', '.join(value) if isinstance(value, list) else 'true' if value is True else value}"
        for key, value in declared.items()
        if key != "type"
    )
