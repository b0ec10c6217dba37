"""Reads an `ExportRequest` from a JSON body or a query. Pure.

Filters become texts that `schema.filters` parses, as on the command line.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from bulk_pipeline import tables
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema import Table
from bulk_pipeline.schema.filters import column_of
from bulk_pipeline.stages.export.formats import HTTP_FORMATS, Format
from bulk_pipeline.stages.export.request import ExportRequest

ONE_PART_ROWS = 2**62
"""More than any table has: an export over HTTP is one file."""
_MOST_CONDITIONS = 1000
_BODY = ("resource_type", "resource", "format", "idempotency_token", "filters", "fields")
_QUERY = ("resource_type", "resource", "format", "where", "fields")


def of_body(body: Mapping[str, Any]) -> tuple[ExportRequest, str | None]:
    """Return the request and its idempotency token, a UUID in canonical form. Raises `SelectionError` if invalid."""
    table = _table(body.get("resource_type") or body.get("resource"))
    format_ = _format(body.get("format"))
    token = read_token(body.get("idempotency_token"))
    if unknown := sorted(set(body) - set(_BODY)):
        raise SelectionError(f"{unknown[0]!r} is not a known member: expected {', '.join(_BODY)}")
    return _request(table, format_, _filters(table, body.get("filters")), _fields(body.get("fields"))), token


def of_query(items: Iterable[tuple[str, str]], resource: str | None = None) -> ExportRequest:
    """Return the request of a query. Names that are no parameters are taken as columns, to filter by; if a column is
    repeated, rows with any of its values match."""
    parameters: dict[str, list[str]] = {}
    for name, value in items:
        parameters.setdefault(name, []).append(value)
    last = {name: values[-1] for name, values in parameters.items()}
    table = _table(resource or last.get("resource_type") or last.get("resource"))
    format_ = _format(last.get("format"))
    columns = {name: values for name, values in parameters.items() if name not in _QUERY}
    conditions = [*_filters(table, columns), *parameters.get("where", [])]
    return _request(table, format_, conditions, _fields(",".join(parameters.get("fields", []))))


def read_token(token: object) -> str | None:
    """Return the token in canonical form, None if there is none. Raises `SelectionError` if it is not a UUID."""
    if token is None:
        return None
    try:
        return str(UUID(str(token)))
    except ValueError:
        raise SelectionError("idempotency_token must be a valid UUID") from None


def _request(table: Table, format_: Format, filters: list[str], fields: tuple[str, ...]) -> ExportRequest:
    if len(filters) > _MOST_CONDITIONS:
        raise SelectionError(
            f"filters: {len(filters):,} conditions are too many: send at most {_MOST_CONDITIONS:,}"
        )
    return ExportRequest.of(
        table.upload_name, format=format_, filters=filters, columns=fields, rows_per_part=ONE_PART_ROWS
    )


def _table(name: object) -> Table:
    if name is None or name == "":
        raise SelectionError("resource_type is required")
    if name not in tables.names():
        raise SelectionError(f"resource_type must be one of: {', '.join(tables.names())}")
    return tables.get(str(name))


def _format(name: object) -> Format:
    if name is None or name == "":
        raise SelectionError("format is required")
    if name not in HTTP_FORMATS:
        raise SelectionError(f"format must be one of: {', '.join(HTTP_FORMATS)}")
    return Format(str(name))


def _fields(fields: object) -> tuple[str, ...]:
    if fields is None or fields == "":
        return ()
    names = fields.split(",") if isinstance(fields, str) else fields
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SelectionError('fields: expected column names, as a list or as "a,b"')
    return tuple(names)


def _filters(table: Table, filters: object) -> list[str]:
    match filters:
        case None:
            return []
        case dict():
            return [_condition(table, str(name), value) for name, value in filters.items()]
        case list() if all(isinstance(text, str) for text in filters):
            return [_encodable("filters", text) for text in filters]
    raise SelectionError('filters: expected {"column": value} or a list of texts like "role=admin"')


def _condition(table: Table, name: str, value: object) -> str:
    column = column_of(table, name).name
    if value is None:
        return f"{column} is null"
    values = value if isinstance(value, list) else [value]
    quoted = [_quoted(column, item) for item in values]
    if not quoted:
        raise SelectionError(f"filters: the list for {column} is empty")
    return f"{column} = {quoted[0]}" if len(quoted) == 1 else f"{column} in ({', '.join(quoted)})"


def _quoted(column: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return "'" + _encodable(column, value).replace("'", "''") + "'"
        case int():
            return f"'{value}'"
    raise SelectionError(f"filters: the value of {column} must be a string, an integer or a boolean")


def _encodable(name: str, text: str) -> str:
    """Return the text. Raises `SelectionError` for an unpaired surrogate, which JSON can express and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SelectionError(f"{name}: {text!r} contains an unpaired surrogate") from None
    return text
