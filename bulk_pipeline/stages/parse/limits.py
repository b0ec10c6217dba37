"""How much one upload may ask for. What is above a limit is a clear failure, never a full memory."""

from dataclasses import dataclass

BLOCK_BYTES = 2 << 20
"""Bytes of text that are looked at together; the unit of streaming in this stage."""

BATCH_ROWS = 131_072
"""The most rows in one record batch."""


@dataclass(frozen=True)
class Limits:
    """Bounds for one upload.

    `record_lines`, `record_bytes`: how far a quoted cell may run before its quote counts as never closed.
    `ratio`: unpacked bytes per uploaded byte, looked at from `ratio_from_bytes` on: above it is a bomb.
    `sheet_bytes`, `sheet_cells`: unpacked size and extent of an .xlsx file, the one format that is held in
    memory.
    """

    cell_bytes: int = 16 << 20
    record_bytes: int = 32 << 20
    record_lines: int = 100_000
    columns: int = 100_000
    ratio: int = 1000
    ratio_from_bytes: int = 100_000_000
    unpacked_bytes: int = 1 << 40
    sheet_bytes: int = 100_000_000
    sheet_cells: int = 4_000_000


DEFAULT_LIMITS = Limits()
