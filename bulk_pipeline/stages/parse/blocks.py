"""How much of a text is looked at together, and how many rows."""

BLOCK_BYTES = 2 << 20
"""Bytes of text that are looked at together; the unit of streaming in this stage."""

BATCH_ROWS = 131_072
"""The most rows in one record batch."""
