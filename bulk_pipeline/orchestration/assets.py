"""The assets the UI draws: what is dropped for a table, the table with its parents, and what is exported of it."""

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration.export_metadata import export_key
from bulk_pipeline.orchestration.metadata import inbox_key, table_key
from bulk_pipeline.orchestration.nightly import NIGHTS
from bulk_pipeline.schema import patterns


def specs() -> list[dg.AssetSpec]:
    """Per table an inbox, the table, its exports; `import_files` materializes tables, `export_table` exports."""
    for table in tables.in_load_order():
        patterns.check(table)  # so that the code location does not even load with a bad one
    inboxes = [
        dg.AssetSpec(
            inbox_key(table.name), group_name="uploads", kinds={"s3"}, description=f"Files for {table.name}."
        )
        for table in tables.in_load_order()
    ]
    loaded = [
        dg.AssetSpec(
            table_key(table.name),
            deps=[inbox_key(table.name), *map(table_key, table.parents)],
            group_name="tables",
            kinds={"postgres"},
            description=table.description,
        )
        for table in tables.in_load_order()
    ]
    exported = [
        dg.AssetSpec(
            export_key(table.name),
            deps=[table_key(table.name)],
            group_name="exports",
            kinds={"s3"},
            partitions_def=NIGHTS,
            description=f"Exports of {table.name}, by the day of their folder.",
        )
        for table in tables.in_load_order()
    ]
    return inboxes + loaded + exported
