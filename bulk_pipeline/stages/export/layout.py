"""The layout of an exported file: everything apart from its rows, for all formats and interfaces."""

from dataclasses import dataclass

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema import Column
from bulk_pipeline.stages.export.formats import Compression, Format, compressions, extension


@dataclass(frozen=True)
class Layout:
    """`columns` of the rows, in this order.

    `has_empty_rows`: a line without anything on it is a row when the file is imported into its table again.
    `sheet`: the name of a workbook's first sheet.
    `for_spreadsheets` (CSV only): formulas are defused, and the file begins with a byte order mark.
    """

    columns: tuple[Column, ...]
    format: Format
    compression: Compression = Compression.NONE
    for_spreadsheets: bool = False
    has_empty_rows: bool = False
    sheet: str = "rows"

    def __post_init__(self) -> None:
        if self.for_spreadsheets and self.format is not Format.CSV:
            raise SelectionError(f"for_spreadsheets is for csv, not {self.format}: leave one of the two out")
        if self.compression not in compressions(self.format):
            raise SelectionError(
                f"{self.format} is compressed inside its file, not with {self.compression}: leave the compression out"
            )

    @property
    def extension(self) -> str:
        return extension(self.format, self.compression)
