"""Reads delimited text as numbered rows; `reader` is the entry point."""
