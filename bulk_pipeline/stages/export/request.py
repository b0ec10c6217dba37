"""Export requests: one form for the command line, run config, HTTP and the ledger."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from bulk_pipeline import tables
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema import Selection, SelectionWords, select
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.sheet_format import sheet_name

ROWS_PER_PART = 1_000_000
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._=-]*/)*[A-Za-z0-9_-][A-Za-z0-9._=-]*|")


class Kind(StrEnum):
    """All rows, or only those that changed since the last export that was asked for in the same words."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """A request to export rows of a table. `prefix`: folders before `<table>/…`.

    Raises `SelectionError` if the request cannot be met.
    """

    selection: Selection
    format: Format = Format.CSV
    compression: Compression = Compression.NONE
    kind: Kind = Kind.FULL
    for_spreadsheets: bool = False
    rows_per_part: int = ROWS_PER_PART
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.rows_per_part < 1:
            raise SelectionError(f"rows per part: {self.rows_per_part} is not at least 1")
        if not _PREFIX.fullmatch(self.prefix):
            raise SelectionError(
                f"prefix {self.prefix!r}: use letters, digits and ._=- with single slashes between: backups/weekly"
            )
        self._make_layout()  # raises if format and `for_spreadsheets` do not fit

    @classmethod
    def of(
        cls,
        table: str,
        *,
        columns: Iterable[str] = (),
        filters: Iterable[str] = (),
        order: Iterable[str] = (),
        **how: Any,  # the fields but for `selection`
    ) -> Self:
        """Return the request for these columns, filters and order, given as text. Raises `SelectionError` or
        `UnknownTableError`."""
        selection = select(tables.get(table), columns=columns, where=filters, order=order)
        return cls(selection=selection, **how)

    @property
    def table(self) -> str:
        return self.selection.table.upload_name

    @property
    def words(self) -> SelectionWords:
        return SelectionWords.of(self.selection.as_json())

    @property
    def layout(self) -> Layout:
        return self._make_layout()

    def _make_layout(self) -> Layout:
        return Layout(
            self.selection.columns,
            self.format,
            self.compression,
            self.for_spreadsheets,
            self.selection.table.may_hold_empty_rows,
            sheet_name(self.selection.table),
        )


def read_request(given: Mapping[str, Any]) -> ExportRequest:
    """Return a request from plain values, as in a run config or JSON. Raises `SelectionError` for invalid ones."""
    choices = {"format": Format, "compression": Compression, "kind": Kind}
    read = {name: _one_of(enum, name, str(given[name])) for name, enum in choices.items() if name in given}
    return ExportRequest.of(**{**given, **read})


def _one_of(choices: type[StrEnum], name: str, text: str) -> StrEnum:
    try:
        return choices(text)
    except ValueError:
        raise SelectionError(f"{name}: {text!r} is not one of {', '.join(choices)}") from None
