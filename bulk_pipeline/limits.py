"""How much one upload may ask for: every bound of a file, a row and a cell, with its default.

Knows no environment: `limit_settings` reads these from it. Whoever parses without settings has the defaults.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one upload. All sizes are of what the bytes become when they are decoded, never of what a file says.

    A row past `cell_bytes` or `row_bytes` is a rejected row; a file past any other bound is refused.
    `name_bytes`: of the name of a column. `batch_bytes`: of a record batch, or of one row if that is larger.
    `unpacked_bytes`: of a file without its packing. `ratio`: decoded bytes per uploaded byte, looked at from
    `ratio_from_bytes` on. `sheet_bytes`, `sheet_cells`: unpacked size and extent of an .xlsx file.
    `row_lines`: how far a quoted cell may run before its quote counts as never closed. `row_values`: of one JSON
    object, with all that is nested in it.
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
        """The end of a sentence about what is past a bound: its value, and the setting that raises it."""
        return f"the limit is {getattr(self, bound):,} (BULK_MAX_{bound.upper()})"

    def rows_per_batch(self, row_bytes: float) -> int:
        """How many rows of that decoded size a record batch may have."""
        return max(1, int(self.batch_bytes // max(1, row_bytes)))


DEFAULT_LIMITS = Limits()
