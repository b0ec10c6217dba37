"""Rows without any value: rows where the table may hold them, blank lines of a spreadsheet elsewhere."""

import io
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Column, Generated, Identity, Mode, Table, UploadFormat
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline.stages.parse.csv import blocks as csv_blocks
from bulk_pipeline.stages.parse.csv import reader
from bulk_pipeline_tests.unit.stages.parse.reading import read

NOTES = Table(name="notes", columns=(Column(name="a"), Column(name="b")))
WORDS = Table(name="words", columns=(Column(name="word"),))
MALFORMED = "malformed_row"


def warning(rows: str) -> str:
    return f"{rows}: lines of empty cells are rows here, since the table requires no value"


@pytest.mark.parametrize(
    ("column", "may_be_empty"),
    [
        ({}, True),
        ({"generated": Generated.ALWAYS}, True),
        ({"required": True}, False),
        ({"required_in": (Mode.INSERT_ONLY,)}, False),
        ({"default": "x"}, False),
        ({"generated": Generated.DEFAULT}, False),
        ({"generated": Generated.DEFAULT, "read_only": True}, False),
        ({"type": parse("bigint"), "identity": Identity.ALWAYS}, False),
    ],
)
def test_a_table_may_hold_empty_rows_if_each_of_its_columns_may_be_null(
    column: dict[str, object], may_be_empty: bool
) -> None:
    declared = Table(name="notes", columns=(Column(name="a"), Column(name="b", **column)))  # pyright: ignore[reportArgumentType]
    assert declared.may_hold_empty_rows is may_be_empty
    assert replace(NOTES, primary_key=("b",)).may_hold_empty_rows is False


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("line", "cells"), [(",", (None, None)), (" , ", (None, None)), ('"",', ("", None)), ('"",""', ("", ""))]
)
def test_empty_cells_are_a_row_where_the_table_requires_no_value(
    line: str, cells: tuple[str | None, ...], fast: bool
) -> None:
    text = f'a,b\n{line}\n\n1,"x\n,"\n \n{line}\n'
    with patch.object(reader, "read_blocks", partial(csv_blocks.read_blocks, fast=fast)):
        result = read(text.encode(), table=NOTES)
    assert (result.cells, result.failures) == ([cells, ("1", "x\n,"), cells], [])
    assert result.lines == {1: 2, 2: 4, 3: 7}
    assert result.warnings == ([warning("2 rows have no value")] if not any(map(_is_text, cells)) else [])


def _is_text(cell: str | None) -> bool:
    return cell is not None


@pytest.mark.parametrize("broken", ["", 'x"y,z\n'])
@pytest.mark.parametrize("fast", [True, False])
def test_they_are_not_in_the_width_of_another_table(broken: str, fast: bool) -> None:
    with patch.object(reader, "read_blocks", partial(csv_blocks.read_blocks, fast=fast)):
        result = read(f"a,b\n{broken}1,2\n,,\n,\n".encode(), table=NOTES)
    shift = 1 if broken else 0
    assert result.cells == [("1", "2"), (None, None)]
    assert result.failures[shift:] == [(2 + shift, 3 + shift, None, MALFORMED, "has 3 cells, expected 2")]
    assert result.warnings == [warning("1 row has no value")]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("broken", ["", 'x"y\n'])
def test_in_one_column_a_blank_line_is_null_and_quotes_are_an_empty_text(
    end: str, broken: str, fast: bool
) -> None:
    with patch.object(reader, "read_blocks", partial(csv_blocks.read_blocks, fast=fast)):
        result = read(f'word\n{broken}\n""\n"a"\n \n""\n\n'.replace("\n", end).encode(), table=WORDS)
    assert result.column("word") == [None, "", "a", None, "", None]
    assert result.warnings == [warning("3 rows have no value")]


def test_without_a_header_the_rows_begin_with_the_first_line() -> None:
    declared = UploadFormat(no_header=True)
    result = read(b",\n,\n1,2\n", table=NOTES, declared=declared)
    assert (result.cells, result.lines) == ([(None, None)] * 2 + [("1", "2")], {1: 1, 2: 2, 3: 3})
    with pytest.raises(FileError, match="the file holds blank lines only"):
        read(b",\n,\n", table=NOTES, declared=declared)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.sampled_from([None, None, "", "x", "\n", '"', " "])] * 2), max_size=9),
    table=st.sampled_from([NOTES, WORDS]),
    format_=st.sampled_from([Format.CSV, Format.TSV]),
)
def test_every_row_of_an_export_comes_back(
    rows: list[tuple[str | None, ...]], table: Table, format_: Format
) -> None:
    width = len(table.columns)
    layout, file = Layout(table.columns, format_, has_empty_rows=table.may_hold_empty_rows), io.BytesIO()
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(width)]
    write_file(iter([pa.RecordBatch.from_arrays(columns, list(table.column_names))]), layout, file)
    result = read(file.getvalue(), f"x{layout.extension}", table=table)
    assert (result.cells, result.failures) == ([row[:width] for row in rows], [])
