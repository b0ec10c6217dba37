"""Reads NDJSON and JSON documents as numbered rows; `reader` is the entry point."""
