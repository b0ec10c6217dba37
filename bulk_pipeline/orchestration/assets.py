"""The assets in Dagster's UI: the inbox of each table, the table with its parents, and its exports."""

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration import freshness
from bulk_pipeline.orchestration.asset_keys import UPLOADS, export_key, inbox_key, table_key
from bulk_pipeline.orchestration.nightly import NIGHTS
from bulk_pipeline.postgres.drift import declared_type
from bulk_pipeline.schema import Column, Mode, Table, patterns, rules_in_words
from bulk_pipeline.schema.load_order import parents_among
from bulk_pipeline.settings import read_settings


def specs() -> list[dg.AssetSpec]:
    """Per table an inbox, the table, its exports, beside the whole inbox. Runs materialize tables and exports."""
    declared = tables.in_load_order()
    owners = read_settings(database_url="postgresql://").asset_owners  # needs no server
    for table in declared:
        patterns.check(table)  # so that the code location does not even load with a bad one
    inbox = dg.AssetSpec(
        UPLOADS,
        group_name="uploads",
        kinds={"s3"},
        owners=owners,
        description="The inbox, with a folder for each table. Its check shows files whose folder has no table.",
    )
    inboxes = [
        dg.AssetSpec(
            inbox_key(table.upload_name),
            deps=[UPLOADS],
            group_name="uploads",
            kinds={"s3"},
            owners=owners,
            description=f"Files that are dropped into `{table.upload_name}/` of the inbox. The sensor `upload_sensor` "
            "imports each of them once and moves it to the archive.",
        )
        for table in declared
    ]
    table_specs = [
        dg.AssetSpec(
            table_key(table.upload_name),
            deps=[inbox_key(table.upload_name), *map(table_key, parents_among(table, declared))],
            group_name="tables",
            kinds={"postgres", "table"},
            owners=owners,
            description=_description(table),
            freshness_policy=None if table.expects is None else freshness.policy(table.expects),
            metadata={
                "dagster/table_name": str(table.qualified_name),
                "dagster/column_schema": dg.TableSchema(
                    columns=[_column(table, column) for column in table.columns],
                    constraints=dg.TableConstraints(other=[rule.message for rule in table.rules]),
                ),
            },
        )
        for table in declared
    ]
    exports = [
        dg.AssetSpec(
            export_key(table.upload_name),
            deps=[table_key(table.upload_name)],
            group_name="exports",
            kinds={"s3"},
            owners=owners,
            partitions_def=NIGHTS,
            description=f"Exports of {table.upload_name}, by the day of their folder: the schedule `every_night` makes "
            "them, and runs of `export_table`.",
        )
        for table in declared
    ]
    return [inbox, *inboxes, *table_specs, *exports]


def _description(table: Table) -> str:
    """Return what the table holds, and how its rows are identified."""
    keys = "; ".join(str(key) for key in table.keys)
    parts = [
        table.description,
        f"A file is expected {table.expects}." if table.expects else "",
        f"Rows are identified by: {keys}." if keys else "The table has no key: every imported row is added.",
        f"Files are imported by `{table.default_mode}` unless they say otherwise.",
    ]
    return "\n\n".join(filter(None, parts))


def _column(table: Table, column: Column) -> dg.TableColumn:
    required = rules_in_words.required(table, column)
    references = [
        f"refers to {key.parent} ({', '.join(key.references)})"
        for key in table.foreign_keys
        if column.name in key.columns
    ]
    partly = [f"required {required}"] if required not in ("", "yes") else []
    return dg.TableColumn(
        column.name,
        type=declared_type(column),
        constraints=dg.TableColumnConstraints(
            nullable=any(column.name not in table.required_columns(mode) for mode in Mode)
            and column.name not in table.primary_key,
            unique=any(key.columns == (column.name,) for key in table.keys),
            other=[*partly, *references, *rules_in_words.limits(column)],
        ),
    )
