"""Comparison of a cell of a file with a value in the database."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

_YES, _NO = {"true", "1", "yes"}, {"false", "0", "no"}


def identifier(value: Any) -> UUID:
    """Read an id in a file, with or without the prefix `cm_`."""
    return value if isinstance(value, UUID) else UUID(str(value).removeprefix("cm_"))


def key_value(row: Mapping[str, Any], key: Sequence[str]) -> tuple[str, ...] | None:
    """Return the values of a key, in a record of a file as in a row; None if one is missing."""
    values = [row.get(column) for column in key]
    if any(value is None or value == "" for value in values):
        return None
    return tuple(str(value).removeprefix("cm_") for value in values)


def differing(record: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """Return the columns in which a record of a file differs from the row in the table."""
    return [name for name, cell in record.items() if not _same(cell, row[name])]


def _same(cell: Any, value: Any) -> bool:
    if cell in (None, ""):
        return True if value is None else value == "" or not isinstance(value, str)
    match value:
        case None:
            return False
        case UUID():
            return identifier(cell) == value
        case bool():
            return str(cell).lower() in (_YES if value else _NO)
        case int() | Decimal():
            return Decimal(str(cell)) == value
        case datetime():
            told = datetime.fromisoformat(cell)
            return (told if told.tzinfo else told.replace(tzinfo=UTC)) == value
        case date():
            return date.fromisoformat(cell) == value
        case list():
            return (json.loads(cell) if isinstance(cell, str) else cell) == value
        case _:
            return cell == value
