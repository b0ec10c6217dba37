"""What is asked for over HTTP, in a JSON body or in a query, as an `ExportRequest`. Pure.

The parser of filters is `schema.filters`, as for the command line; what is here only writes its texts.
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
"""More than any table has: whoever asks over HTTP wants one file."""
_MOST_CONDITIONS = 1000
_BODY = ("resource_type", "resource", "format", "idempotency_token", "filters", "fields")
_QUERY = ("resource_type", "resource", "format", "where", "fields")


def of_body(body: Mapping[str, Any]) -> tuple[ExportRequest, str | None]:
    """The request and its idempotency token, a UUID in its usual form. `SelectionError` for the first thing wrong."""
    table = _table(body.get("resource_type") or body.get("resource"))
    format_ = _format(body.get("format"))
    token = read_token(body.get("idempotency_token"))
    if unknown := sorted(set(body) - set(_BODY)):
        raise SelectionError(f"{unknown[0]!r} is not known: expected some of {', '.join(_BODY)}")
    return _request(table, format_, _filters(table, body.get("filters")), _fields(body.get("fields"))), token


def of_query(items: Iterable[tuple[str, str]], resource: str | None = None) -> ExportRequest:
    """What is no known name is a column; a column that comes twice may have either value."""
    given: dict[str, list[str]] = {}
    for name, value in items:
        given.setdefault(name, []).append(value)
    last = {name: values[-1] for name, values in given.items()}
    table = _table(resource or last.get("resource_type") or last.get("resource"))
    format_ = _format(last.get("format"))
    columns = {name: values for name, values in given.items() if name not in _QUERY}
    conditions = [*_filters(table, columns), *given.get("where", [])]
    return _request(table, format_, conditions, _fields(",".join(given.get("fields", []))))


def read_token(given: object) -> str | None:
    """None if there is none; `SelectionError` for what is no UUID."""
    if given is None:
        return None
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise SelectionError("idempotency_token must be a valid UUID") from None


def _request(table: Table, format_: Format, filters: list[str], fields: tuple[str, ...]) -> ExportRequest:
    if len(filters) > _MOST_CONDITIONS:
        raise SelectionError(f"filters: {len(filters):,} are too many: {_MOST_CONDITIONS:,} at most")
    return ExportRequest(
        table=table.name, format=format_, filters=tuple(filters), columns=fields, rows_per_part=ONE_PART_ROWS
    ).checked()


def _table(given: object) -> Table:
    if given is None or given == "":
        raise SelectionError("resource_type is required")
    if given not in tables.names():
        raise SelectionError(f"resource_type must be one of: {', '.join(tables.names())}")
    return tables.get(str(given))


def _format(given: object) -> Format:
    if given is None or given == "":
        raise SelectionError("format is required")
    if given not in HTTP_FORMATS:
        raise SelectionError(f"format must be one of: {', '.join(HTTP_FORMATS)}")
    return Format(str(given))


def _fields(given: object) -> tuple[str, ...]:
    if given is None or given == "":
        return ()
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SelectionError('fields: expected names of columns, as a list or as "a,b"')
    return tuple(names)


def _filters(table: Table, given: object) -> list[str]:
    match given:
        case None:
            return []
        case dict():
            return [_condition(table, str(name), value) for name, value in given.items()]
        case list() if all(isinstance(text, str) for text in given):
            return [_sound("filters", text) for text in given]
    raise SelectionError('filters: expected {"column": value} or a list of texts like "role=admin"')


def _condition(table: Table, name: str, value: object) -> str:
    column = column_of(table, name).name
    if value is None:
        return f"{column} is null"
    values = value if isinstance(value, list) else [value]
    quoted = [_quoted(column, one) for one in values]
    if not quoted:
        raise SelectionError(f"filters: the list for {column} is empty")
    return f"{column} = {quoted[0]}" if len(quoted) == 1 else f"{column} in ({', '.join(quoted)})"


def _quoted(column: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return "'" + _sound(column, value).replace("'", "''") + "'"
        case int():
            return f"'{value}'"
    raise SelectionError(f"filters: {column} has a value that is no text, no number and no truth value")


def _sound(name: str, text: str) -> str:
    """JSON can hold halves of characters, which are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SelectionError(f"{name}: {text!r} holds half a character") from None
    return text
