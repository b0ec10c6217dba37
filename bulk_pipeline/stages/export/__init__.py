"""Rows of a table -> files: lines, Parquet or workbooks, cut into parts, each with its checksum. Start at `parts`."""
