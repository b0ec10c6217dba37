"""The assets in Dagster's UI: the inbox of each table, the table with its parents, and its exports."""

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration.metadata import export_key, inbox_key, table_key
from bulk_pipeline.orchestration.nightly import NIGHTS
from bulk_pipeline.schema import patterns
from bulk_pipeline.schema.load_order import parents_among


def specs() -> list[dg.AssetSpec]:
    """Per table an inbox, the table, its exports; `import_files` materializes tables, `export_table` exports."""
    declared = tables.in_load_order()
    for table in declared:
        patterns.check(table)  # so that the code location does not even load with a bad one
    inboxes = [
        dg.AssetSpec(
            inbox_key(table.upload_name),
            group_name="uploads",
            kinds={"s3"},
            description=f"Files for {table.upload_name}.",
        )
        for table in declared
    ]
    table_specs = [
        dg.AssetSpec(
            table_key(table.upload_name),
            deps=[inbox_key(table.upload_name), *map(table_key, parents_among(table, declared))],
            group_name="tables",
            kinds={"postgres"},
            description=table.description,
        )
        for table in declared
    ]
    exports = [
        dg.AssetSpec(
            export_key(table.upload_name),
            deps=[table_key(table.upload_name)],
            group_name="exports",
            kinds={"s3"},
            partitions_def=NIGHTS,
            description=f"Exports of {table.upload_name}, by the day of their folder.",
        )
        for table in declared
    ]
    return inboxes + table_specs + exports
