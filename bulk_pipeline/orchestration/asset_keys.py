"""The names of assets and of their checks."""

import dagster as dg

EVERY_ROW_ACCEPTED = "every_row_accepted"
MATCHES_DECLARATION = "matches_declaration"
REFERENCES_EXIST = "references_exist"
ROWS_SINCE_EXPORT = "rows_since_export"
EVERY_FILE_HAS_A_TABLE = "every_file_has_a_table"

UPLOADS = dg.AssetKey(["uploads"])
"""The whole inbox: also files in folders that have no table."""


def table_key(table: str) -> dg.AssetKey:
    """Return the key of a table's asset."""
    return dg.AssetKey(["postgres", table])


def inbox_key(table: str) -> dg.AssetKey:
    """Return the key of the asset of a table's inbox."""
    return dg.AssetKey(["uploads", table])


def export_key(table: str) -> dg.AssetKey:
    """Return the key of the asset of a table's exports."""
    return dg.AssetKey(["exports", table])
