"""Kernels on Arrow and NumPy arrays: masks, bytes, sets of rows, UUIDs. They know no table."""
