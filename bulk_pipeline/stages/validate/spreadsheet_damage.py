"""Finds cells that a spreadsheet program has changed: long numbers in scientific notation, codes that became dates.

A failure takes a row out of the load, so only cells that can be nothing else are meant: numbers of columns that have
all their digits, and texts that are not as their column declares. A date may be a good key; so may a long number that
ends in zeros, except in a workbook, which stores no more than fifteen digits of a number (`parse.xlsx.cells`).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import Column, Table
from bulk_pipeline.schema.families.numbers import WHOLE_NUMBERS
from bulk_pipeline.schema.families.texts import TEXTS
from bulk_pipeline.stages.failures import FAILURES, Code, none
from bulk_pipeline.stages.shown import shown

_SHORTENED = r"\A[+-]?\d(?:[.,]\d{1,5})?E\+\d{2,3}\z"
"""A number of more than eleven digits, as a cell of the usual width shows it and as it is saved in a CSV file."""
_MONTH = (
    "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    "|mär|mrz|mai|okt|dez"
    "|janv|févr|mars|avr|juin|juil|août|sept|déc)"
)
_DATE = (
    rf"\A(?:\d{{1,2}}(?:-|\.? ){_MONTH}\.?|{_MONTH}\.?[- ]\d{{2}}"
    r"|\d{4}-\d{2}-\d{2}(?:[T ]00:00:00)?|\d{1,2}[./]\d{1,2}[./]\d{4})\z"
)
_TEXTS = frozenset(facts.name for facts in TEXTS)
_REMEDY = "format the column as text before its values are entered or opened, and export the file again"


def shortened_numbers(text: pa.Array) -> np.ndarray:
    """Return a mask of the numbers whose last digits a spreadsheet has dropped, `1.23457E+19`."""
    if not (text_bytes(text) == ord("+")).any():
        return np.zeros(len(text), bool)
    return mask(pc.match_substring_regex(text, _SHORTENED))


def dates_of_codes(text: pa.Array) -> np.ndarray:
    """Return a mask of the dates that a spreadsheet makes of codes, `2-Mar`."""
    return mask(pc.match_substring_regex(text, _DATE))


def has_all_digits(column: Column, table: Table) -> bool:
    """Return whether no number of the column is written with an exponent: whole ones are not, and none in keys is."""
    family = column.type.family.name
    return family in WHOLE_NUMBERS or (family == "numeric" and is_in_key(column, table))


def is_in_key(column: Column, table: Table) -> bool:
    """Return whether the column identifies a row of its table or of another one."""
    return column.name in table.key_columns or any(column.name in key.columns for key in table.foreign_keys)


def shortened_in_corrections(
    records: pa.RecordBatch, corrected: pa.Array, table: Table
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the records without texts that are shortened numbers in corrected rows, and failures of these cells.

    Elsewhere such a text may be meant. But `corrected` rows were rejected before, and people correct them in a
    spreadsheet program, which would now have changed a cell that was right.
    """
    is_corrected = mask(pc.is_in(records["_row"], value_set=corrected))
    failures = []
    for column in table.columns:
        if column.name not in records.schema.names or column.type.family.name not in _TEXTS:
            continue
        cells = records[column.name]
        damaged = pa.array(shortened_numbers(cells) & is_corrected)
        if not damaged.true_count:
            continue
        bad, shortened = records.filter(damaged), cells.filter(damaged)
        count = len(bad)
        texts = [
            pa.array([column.name] * count, pa.string()),
            pa.array([Code.SPREADSHEET_DAMAGE] * count, pa.string()),
            shortened.cast(pa.string()),
            sentences(column, shortened).cast(pa.string()),
        ]
        failures.append(pa.RecordBatch.from_arrays([bad["_row"], bad["_line"], *texts], schema=FAILURES))
        without = pc.if_else(damaged, pa.scalar(None, cells.type), cells)
        records = records.set_column(records.schema.get_field_index(column.name), column.name, without)
    return records, pa.concat_batches([none(), *failures])


def sentences(column: Column, cells: pa.Array) -> pa.Array:
    """Return sentences for damaged cells."""
    number = f"' is a number that a spreadsheet has shortened, its last digits are lost: {_REMEDY}"
    wanted = f", not {column.pattern_name}" if column.pattern_name else ""
    date = f"' is a date{wanted}: a spreadsheet makes dates of codes like 2-3: {_REMEDY}"
    end = pc.if_else(pa.array(shortened_numbers(cells)), number, date)
    return pc.binary_join_element_wise(f"{column.name} '", shown(cells), end, "")
