"""Rows of a table -> files: lines or Parquet, compressed, cut into parts, each with its checksum. Start at `parts`."""
