"""Bounds of an upload, its rows and its cells, with their defaults. `settings` reads them from the environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one upload. All sizes are of decoded bytes, never sizes that a file declares.

    A row that exceeds `cell_bytes` or `row_bytes` is rejected; a file that exceeds any other bound is refused.
    `name_bytes`: size of a column name. `batch_bytes`: size of a record batch, or of one row if that is larger.
    `unpacked_bytes`: size of a file without compression. `ratio`: decoded bytes per uploaded byte, checked from
    `ratio_from_bytes` on. `sheet_bytes`, `sheet_cells`: unpacked size and extent of an .xlsx file.
    `row_lines`: lines after which the quote of a cell counts as never closed. `row_values`: values of one JSON
    object, including nested ones.
    """

    cell_bytes: int = 16 << 20
    row_bytes: int = 32 << 20
    name_bytes: int = 1000
    columns: int = 10_000
    batch_bytes: int = 16 << 20
    unpacked_bytes: int = 1 << 40
    ratio: int = 200
    sheet_bytes: int = 100_000_000
    sheet_cells: int = 4_000_000
    ratio_from_bytes: int = 100_000_000
    row_lines: int = 100_000
    row_values: int = 500_000

    def of(self, bound: str) -> str:
        """Return the end of a sentence about an exceeded bound: its value, and the setting that raises it."""
        return f"the limit is {getattr(self, bound):,} (BULK_MAX_{bound.upper()})"

    def rows_per_batch(self, row_bytes: float) -> int:
        """Return the number of rows of that decoded size in a record batch."""
        return max(1, int(self.batch_bytes // max(1, row_bytes)))


DEFAULT_LIMITS = Limits()
