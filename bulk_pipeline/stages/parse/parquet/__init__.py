"""Reads Parquet as numbered rows of text; `reader` is the entry point."""
