"""The tables people import into and export from: one file each, found by being in this folder."""

from bulk_pipeline.tables.registry import get, in_load_order, names

__all__ = ["get", "in_load_order", "names"]
