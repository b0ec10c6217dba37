"""What is asked for when a table is exported to the bucket: one form for the command line, run config and HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bulk_pipeline import tables
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema import Selection, Table, select
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout

ROWS_PER_PART = 1_000_000
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._=-]*/)*[A-Za-z0-9_-][A-Za-z0-9._=-]*|")


class Kind(StrEnum):
    """All rows, or only those that changed since the last export that was asked for in the same words."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """`columns`, `filters` and `order` as `schema.select` reads them. `prefix`: folders before `<table>/…`."""

    table: str
    format: Format = Format.CSV
    compression: Compression = Compression.NONE
    kind: Kind = Kind.FULL
    columns: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    for_spreadsheets: bool = False
    rows_per_part: int = ROWS_PER_PART
    prefix: str = ""

    @property
    def selection(self) -> Selection:
        """`SelectionError` and `UnknownTableError` for what does not fit."""
        return select(self.declared, columns=self.columns, where=self.filters, order=self.order)

    @property
    def layout(self) -> Layout:
        return Layout(self.selection.columns, self.format, self.compression, self.for_spreadsheets)

    @property
    def declared(self) -> Table:
        return tables.get(self.table)

    def checked(self) -> "ExportRequest":
        """The request in its usual words, if it can be met. `SelectionError`, `UnknownTableError`."""
        if self.rows_per_part < 1:
            raise SelectionError(f"rows per part: {self.rows_per_part} is not at least 1")
        if not _PREFIX.fullmatch(self.prefix):
            raise SelectionError(
                f"prefix {self.prefix!r}: use letters, digits and ._=- with single slashes between: backups/weekly"
            )
        selection, layout = self.selection, self.layout
        return ExportRequest(
            table=self.table,
            format=layout.format,
            compression=layout.compression,
            kind=self.kind,
            columns=tuple(column.name for column in selection.columns) if self.columns else (),
            filters=tuple(map(str, selection.filters)),
            order=tuple(map(str, selection.order)),
            for_spreadsheets=layout.for_spreadsheets,
            rows_per_part=self.rows_per_part,
            prefix=self.prefix,
        )


def read_request(given: Mapping[str, Any]) -> ExportRequest:
    """A request from plain values, as run config or JSON has them. `SelectionError` for what is none."""
    choices = {"format": Format, "compression": Compression, "kind": Kind}
    read = {name: _one_of(enum, name, str(given[name])) for name, enum in choices.items() if name in given}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return ExportRequest(**{**given, **lists, **read})


def _one_of(choices: type[StrEnum], name: str, text: str) -> StrEnum:
    try:
        return choices(text)
    except ValueError:
        raise SelectionError(f"{name}: {text!r} is none of {', '.join(choices)}") from None
