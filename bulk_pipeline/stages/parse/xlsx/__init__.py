"""Reads sheets of .xlsx workbooks as numbered rows; `reader` is the entry point."""
