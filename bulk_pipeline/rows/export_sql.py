"""A selection as SQL. Values are literals that psycopg quotes: COPY takes no parameters."""

import json
from typing import LiteralString

from psycopg import sql

from bulk_pipeline.postgres.names import identifier
from bulk_pipeline.schema import Column, Filter, Operator, Order, Selection, Table
from bulk_pipeline.schema.type_facts import Value

RENUMBERED = "bulk_renumbered"

_SHOWN = 80


def deleted_query(table: Table, changed_since: int) -> sql.Composed:
    """Select the ids and times of rows deleted by the transaction `changed_since` or a later one, without ids that
    exist again."""
    return sql.SQL("""
        SELECT deleted.row_id AS id, max(deleted.deleted_at) AS deleted_at
        FROM bulk.deleted_rows AS deleted
        WHERE deleted.table_name = {}
          AND {}
          AND NOT EXISTS (SELECT FROM {} AS present WHERE present.id = deleted.row_id)
        GROUP BY deleted.row_id
        ORDER BY deleted.row_id
    """).format(sql.Literal(table.name), changed("deleted", changed_since), identifier(table))


def select_query(selection: Selection, changed_since: int | None = None) -> sql.Composed:
    """The rows that are asked for, in their order. `changed_since`: only those changed by that transaction or later.

    A column `RENUMBERED` comes last if the selection `holds_arrays`.
    """
    columns = list(map(_exported, selection.columns))
    if holds_arrays(selection):
        columns.append(_renumbered(selection))
    conditions = [_condition(filter_) for filter_ in selection.filters]
    if changed_since is not None:
        conditions.append(changed("exported", changed_since))
    return sql.SQL("SELECT {} FROM {} AS exported {} {}").format(
        sql.SQL(", ").join(columns),
        identifier(selection.table),
        sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL(""),
        _ordered(selection),
    )


def holds_arrays(selection: Selection) -> bool:
    """Return whether `select_query` has the column `RENUMBERED`."""
    return any(column.type.facts.is_array for column in selection.columns)


def _renumbered(selection: Selection) -> sql.Composed:
    """The column `RENUMBERED`: NULL, or a JSON array of the column, the value and the key of a row in which the
    elements of an array are not numbered from 1."""
    keys = [sql.SQL(", {}::text").format(sql.Identifier(name)) for name in _keys(selection.table)]
    cases = [
        sql.SQL("WHEN {} THEN json_build_array({}, left({}::text, {}){})::text").format(
            sql.SQL(" OR ").join(
                sql.SQL("array_lower({}, {}) <> 1").format(_name(column), sql.Literal(dimension))
                for dimension in range(1, max(1, column.type.dimensions) + 1)
            ),
            sql.Literal(column.name),
            _name(column),
            sql.Literal(_SHOWN),
            sql.Composed(keys),
        )
        for column in selection.columns
        if column.type.facts.is_array
    ]
    return sql.SQL("CASE {} END AS {}").format(sql.SQL(" ").join(cases), sql.Identifier(RENUMBERED))


def renumbered_problem(table: Table, found: str) -> str:
    """Return the problem of a row, from its text in the column `RENUMBERED`, with the remedy."""
    name, value, *keys = json.loads(found)
    key = ", ".join(f"{column} {text}" for column, text in zip(_keys(table), keys, strict=True))
    remedy = sql.SQL("UPDATE {0} SET {1} = {1}[:] WHERE array_dims({1}) <> array_dims({1}[:])").format(
        identifier(table), sql.Identifier(name)
    )
    return (
        f"{table.qualified_name}.{name} holds an array whose elements are not numbered from 1, {value}"
        f"{f' in the row with {key}' if key else ''}, and files have no numbers of elements: leave the column out, "
        f"or renumber them: {remedy.as_string()}"
    )


def _keys(table: Table) -> tuple[str, ...]:
    return table.primary_key or table.key_columns


def _ordered(selection: Selection) -> sql.Composed:
    """By the primary key in the end, or by all columns of its keys; a table without a key comes in no order."""
    by: list[sql.Composable] = list(map(_order, selection.order))
    by += map(sql.Identifier, _keys(selection.table))
    return sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(by)) if by else sql.Composed([])


def changed(alias: str, transaction: int) -> sql.Composed:
    """Return whether a row was written by that transaction or a later one.

    `xmin` is who wrote this version of the row. Its 32 bits are compared by age, as they start anew now and then; rows
    that have not changed for two billion transactions may look changed, never the other way round.
    """
    xid = sql.Literal(str(transaction % 2**32))
    return sql.SQL("age({}) <= age({}::xid)").format(sql.Identifier(alias, "xmin"), xid)


def _name(column: Column) -> sql.Identifier:
    return sql.Identifier(column.name)


def _exported(column: Column) -> sql.Composed:
    """The column as an export reads it, under its name."""
    name = _name(column)
    export = column.type.facts.export
    if export == "{}":
        return sql.Composed([name])
    return sql.SQL("{} AS {}").format(sql.SQL(export).format(name), name)


def _order(order: Order) -> sql.Composed:
    return sql.SQL("{} DESC" if order.descending else "{}").format(_name(order.column))


def _condition(filter_: Filter) -> sql.Composed:
    column = _name(filter_.column)
    values = [_value(filter_.column, value) for value in filter_.values]
    match filter_.operator:
        case Operator.IS_NULL:
            return sql.SQL("{} IS NULL").format(column)
        case Operator.IS_NOT_NULL:
            return sql.SQL("{} IS NOT NULL").format(column)
        case Operator.IN:
            return sql.SQL("{} IN ({})").format(column, sql.SQL(", ").join(values))
        case Operator.NOT_EQUAL:
            return sql.SQL("{} IS DISTINCT FROM {}").format(column, *values)
        case Operator.PREFIX:
            return sql.SQL("starts_with({}, {})").format(column, *values)
    return sql.SQL("{} {} {}").format(column, sql.SQL(_COMPARED[filter_.operator]), *values)


def _value(column: Column, value: Value) -> sql.Composed:
    return sql.SQL("{}::{}").format(sql.Literal(str(value)), sql.SQL(column.type.facts.postgres))


_COMPARED: dict[Operator, LiteralString] = {
    Operator.EQUAL: "=",
    Operator.LESS: "<",
    Operator.LESS_OR_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_OR_EQUAL: ">=",
}
