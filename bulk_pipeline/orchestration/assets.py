"""The assets the UI draws: what is dropped for a table, and the table, with its parents."""

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration.metadata import inbox_key, table_key


def specs() -> list[dg.AssetSpec]:
    """One asset per inbox and per table; runs of `import_files` materialize the tables."""
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
    return inboxes + loaded
