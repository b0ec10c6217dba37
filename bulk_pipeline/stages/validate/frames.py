"""Builds the pandera schema of a table from `checks` and the table's rules, and finds the checks that a frame fails.

pandera runs each check on a whole frame and collects the checks that fail. The rows come from a second run of the same
Arrow kernel, only for these few checks. If checks returned a result per row, pandera would build tables of failure
cases that nobody reads: a batch of 50,000 rows, 1% of them bad, takes 0.04 s this way and 0.13 s with them (0.02 s if
all rows are good).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, Mode, Rule, Table
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.validate.checks import CHECKS, CellCheck, Kernel


@dataclass(frozen=True)
class Broken:
    """A check that a frame fails, with a mask of the failing rows; `column` is None for a row rule."""

    column: str | None
    check: str
    rows: np.ndarray


def frame_schema(table: Table, mode: Mode) -> pandera.DataFrameSchema:
    """Return the schema of Arrow-backed frames of typed columns; optional columns may be absent."""
    return _frame_schema(table, mode, tuple(CHECKS.values()))


@cache
def _frame_schema(table: Table, mode: Mode, checks: tuple[CellCheck, ...]) -> pandera.DataFrameSchema:
    required = table.required_columns(mode)
    return pandera.DataFrameSchema(
        {
            column.name: pandera.Column(
                pd.ArrowDtype(codec_of(column).arrow),
                [_cell_check(check.name, kernel) for check, kernel in _kernels(table, column, mode, checks)],
                nullable=True,
                required=column.name in required,
            )
            for column in table.columns
        },
        checks=[_row_check(table, rule) for rule in table.rules],
        name=table.upload_name,
    )


def broken(table: Table, mode: Mode, frame: pd.DataFrame) -> list[Broken]:
    """Return the checks that `frame` fails, in schema order. Raises `DeclarationError` if a check cannot be run."""
    try:
        frame_schema(table, mode).validate(frame, lazy=True, inplace=True)
    except SchemaErrors as errors:
        return [_broken(error, table, mode, frame) for error in errors.schema_errors]
    return []


def _kernels(
    table: Table, column: Column, mode: Mode, checks: tuple[CellCheck, ...]
) -> list[tuple[CellCheck, Kernel]]:
    """Return the checks that the column needs, in the order in which they run."""
    required = column.name in table.required_columns(mode)
    kernels = [(check, check.kernel(table, column, required)) for check in checks]
    return [(check, kernel) for check, kernel in kernels if kernel is not None]


def _cell_check(name: str, kernel: Kernel) -> pandera.Check:
    return pandera.Check(lambda cells: _holds(kernel(_cells(cells))), name=name, ignore_na=False)


def _row_check(table: Table, rule: Rule) -> pandera.Check:
    return pandera.Check(
        lambda frame: _holds(_kept(table, rule, frame)), name=f"rule:{rule.name}", ignore_na=False
    )


def _kept(table: Table, rule: Rule, frame: pd.DataFrame) -> pa.ChunkedArray:
    """Return a boolean for each row, true if it keeps the rule."""
    cells = {
        name: frame[name] if name in frame else pd.Series(pd.NA, frame.index, dtype)
        for name, dtype in (
            (name, pd.ArrowDtype(codec_of(table.column(name)).arrow)) for name in rule.columns
        )
    }
    kept = rule.passes(pd.DataFrame(cells))
    if not isinstance(kept, pd.Series) or not kept.index.equals(frame.index):
        raise TypeError("passes() must return a boolean series with the index of its frame")
    return pa.chunked_array(pa.array(kept.array, pa.bool_()))


def _holds(kept: pa.ChunkedArray) -> bool:
    """Return True if no row fails; NULL counts as passing."""
    return pc.all(kept, min_count=0).as_py()


def _cells(series: pd.Series) -> pa.ChunkedArray:
    return pa.chunked_array(pa.array(series.array))


def _broken(error: SchemaError, table: Table, mode: Mode, frame: pd.DataFrame) -> Broken:
    """Return the failed check of a pandera error. Raises `DeclarationError` for an exception inside a check."""
    name = str(getattr(error.check, "name", error.check))
    if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
        raise DeclarationError(f"{error.schema.name}: {name} could not be run: {error.args[0]}") from error
    column, kept = None, None
    for rule in table.rules:
        if name == f"rule:{rule.name}":
            kept = _kept(table, rule, frame)
    if kept is None:
        column = str(error.schema.name)
        kernels = _kernels(table, table.column(column), mode, (CHECKS[name],))
        kept = kernels[0][1](_cells(pd.Series(frame[column])))
    return Broken(column, name, ~pc.fill_null(kept, True).to_numpy())
