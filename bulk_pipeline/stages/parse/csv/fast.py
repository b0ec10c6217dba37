"""Parses regular text with Arrow's CSV parser, the fast path of reading a delimited file."""

import pyarrow as pa
from pyarrow import csv

from bulk_pipeline.stages.parse.csv.structure import Bytes
from bulk_pipeline.stages.parse.csv.syntax import Plan


class ArrowParser:
    """Parses text whose structure has been checked. The options are built once, since they are long for wide files."""

    def __init__(self, plan: Plan) -> None:
        syntax = plan.syntax
        self._wanted = [str(position) for position in plan.positions]
        self._read = csv.ReadOptions(use_threads=False, column_names=[str(i) for i in range(plan.width)])
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(self._wanted, pa.binary()),
            include_columns=self._wanted,
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=False,
        )
        self._parse = csv.ParseOptions(
            delimiter=syntax.delimiter[:1].decode("latin-1"),
            quote_char=syntax.quote.decode() or False,
            double_quote=bool(syntax.quote),
            newlines_in_values=bool(syntax.quote),
            ignore_empty_lines=not plan.empty_rows,
        )

    def columns(self, text: Bytes, rows: int) -> list[pa.Array] | None:
        """Return the plan's columns, or None if the text is not UTF-8 or not `rows` records of the right width."""
        if rows == 0:
            return [pa.array([], pa.string()) for _ in self._wanted]
        try:
            cells = self.binary_columns(text, rows)
            return None if cells is None else [column.cast(pa.string()) for column in cells]
        except pa.ArrowInvalid:
            return None

    def binary_columns(self, text: Bytes, rows: int) -> list[pa.Array] | None:
        """Return the columns of one or more records as bytes, without checking that cells are UTF-8."""
        self._read.block_size = len(text) + 1
        try:
            table = csv.read_csv(pa.py_buffer(text), self._read, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != rows:
            return None
        return [_one(table.column(name)) for name in self._wanted]


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
