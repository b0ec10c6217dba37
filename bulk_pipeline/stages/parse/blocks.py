"""Sizes of the blocks and batches in which the parser works."""

BLOCK_BYTES = 2 << 20
"""Bytes of text that are parsed together, the unit of streaming in this stage."""

MOST_LINES = 65_536
"""Most lines that are parsed together: each may become a row or a failure, however short it is."""

BATCH_ROWS = 131_072
"""Most rows of one record batch."""
