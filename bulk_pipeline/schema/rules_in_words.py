"""The rules of a column in words, as `bulk-pipeline tables` and the notes of templates show them."""

from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.mode import Mode
from bulk_pipeline.schema.table import Table


def kind(table: Table, column: Column) -> str:
    """Return what a cell of the column holds: a column of another table, or a value of its type."""
    references = (
        f"{referred} of {key.parent}"
        for key in table.foreign_keys
        for name, referred in zip(key.columns, key.references, strict=True)
        if name == column.name
    )
    return next(references, column.type.facts.label)


def required(table: Table, column: Column) -> str:
    """Return `yes`, `in` and the mode in which a value is required, or nothing."""
    modes = [mode for mode in Mode if column.name in table.required_columns(mode)]
    if len(modes) == len(Mode):
        return "yes"
    return f"in {modes[0]}" if modes else ""


def limits(column: Column) -> list[str]:
    """Return the rules for a cell of the column."""
    rules = [
        f"one of {', '.join(column.choices)}" if column.choices else None,
        column.pattern_name,
        f"at most {column.max_length:,} characters" if column.max_length else None,
        f"at most {column.max_words:,} words" if column.max_words else None,
        *(bound.rule(column.type.facts, limit) for bound, limit in column.bounds),
        f"may start with {column.prefix}" if column.prefix else None,
        "rounded to its decimals" if column.round else None,
        "NaN and infinities allowed" if column.not_finite else None,
        "null elements allowed" if column.null_elements else None,
        "in base64" if column.base64 else None,
        f"{str(column.default).lower()} when empty" if column.default is not None else None,
        "set by the database when empty" if column.generated else None,
        _numbered(column) if column.identity else None,
    ]
    return [rule for rule in rules if rule]


def _numbered(column: Column) -> str:
    """Return when the sequence of a column gives a row its number."""
    return "numbered by the database" + (" when empty or left out" if column.is_writable else "")
