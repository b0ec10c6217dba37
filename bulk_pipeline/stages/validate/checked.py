"""Converts text rows to typed rows, with a failure for every declared rule that a row breaks.

Each row is checked by itself; `stages.split` checks keys and references across the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema import NOTHING_DECLARED, Column, ColumnType, Mode, Table, UploadFormat
from bulk_pipeline.schema.types import TypedColumn, codec_of
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import FAILURES, none
from bulk_pipeline.stages.parse.parsed import STORED
from bulk_pipeline.stages.shown import shown, value
from bulk_pipeline.stages.validate.checks import CHECKS, Sentences, code_of
from bulk_pipeline.stages.validate.frames import broken
from bulk_pipeline.stages.validate.invisible_cells import invisible_in
from bulk_pipeline.stages.validate.notation import (
    Notation,
    ReadCells,
    ambiguous,
    in_zone,
    not_as_declared,
    notation_of,
    read_cells,
    repeated,
    skipped,
)
from bulk_pipeline.stages.validate.server_types import Refusal, ServerTypes
from bulk_pipeline.stages.validate.spreadsheet_damage import (
    dates_of_codes,
    has_all_digits,
    shortened_numbers,
)


@dataclass(frozen=True)
class ValidationResult:
    """All rows, typed, with NULL for cells that failed, and the new failures in row order."""

    rows: pa.RecordBatch
    failures: pa.RecordBatch


def validate(
    records: pa.RecordBatch,
    found: pa.RecordBatch,
    table: Table,
    mode: Mode,
    absent: pa.Array | None = None,
    server: ServerTypes | None = None,
    format_: UploadFormat = NOTHING_DECLARED,
) -> ValidationResult:
    """Check `records` (`_row`, `_line`, then text columns of `table`) by the rules for one row.

    `found` are the parser's failures in these rows; their cells are not checked again. Columns that `records` lacks
    are not added. `absent` has a cell of `stages.absence` for each record if some lack a column. `server` checks cells
    of types that only Postgres can read; without it they are accepted. `format_` is the notation of cells, apart from
    those that a workbook stores as values (`stages.parse.parsed.STORED`). Raises `DeclarationError` if a check cannot
    be run.
    """
    columns = [table.column(name) for name in records.schema.names if not name.startswith("_")]
    finding = _Finding(records, _named_cells(records, found))
    for column in columns:
        if has_all_digits(column, table):
            finding.add("damage", column, shortened_numbers(records[column.name]), final=True)
    if format_.has_notation:
        records = _read(records, columns, finding, format_)
    zone = format_.time_zone
    typed = {
        column.name: _typed(column, records[column.name], finding, mode, server, zone) for column in columns
    }
    left_to_load = _left_to_load(records, typed, table, mode, absent)
    for rule_broken in broken(table, mode, _frame(typed, len(records))):
        if rule_broken.column is None:
            rule = next(rule for rule in table.rules if f"rule:{rule.name}" == rule_broken.check)
            finding.add_rule(rule_broken.check, rule.columns, rule.message, rule_broken.rows)
        else:
            rows = rule_broken.rows
            if rule_broken.check == "required" and rule_broken.column in left_to_load:
                rows = rows & ~left_to_load[rule_broken.column]
            if rule_broken.check in ("pattern", "choices"):
                damaged = _damaged(records[rule_broken.column], rows)
                finding.add("damage", table.column(rule_broken.column), damaged)
            finding.add(rule_broken.check, table.column(rule_broken.column), rows)
    cells = [without(values, finding.failed_cells(name)) for name, values in typed.items()]
    names = ["_row", "_line", *typed]
    rows = pa.RecordBatch.from_arrays([records["_row"], records["_line"], *cells], names=names)
    return ValidationResult(rows, finding.failures())


def _damaged(text: pa.Array, rows: np.ndarray) -> np.ndarray:
    """Return which of these rows, whose texts are not as the column declares, a spreadsheet has changed."""
    places = np.flatnonzero(rows)
    texts = text.take(pa.array(places))
    damaged = np.zeros(len(rows), bool)
    damaged[places] = shortened_numbers(texts) | dates_of_codes(texts)
    return damaged


def _read(
    records: pa.RecordBatch, columns: Sequence[Column], finding: "_Finding", format_: UploadFormat
) -> pa.RecordBatch:
    """Return the records in the notation of `schema.types`, without the cells that are not in the declared one."""
    stored = records[STORED] if STORED in records.schema.names else None
    for column in columns:
        at = records.schema.get_field_index(column.name)
        marks = None if stored is None else stored.field(column.name)
        cells = read_cells(column, records[column.name], marks, format_)
        finding.add_unread(column, cells, notation_of(column, format_))
        records = records.set_column(at, column.name, cells.texts)
    return records


def _typed(
    column: Column,
    text: pa.Array,
    finding: "_Finding",
    mode: Mode,
    server: ServerTypes | None,
    zone: str | None,
) -> pa.Array:
    """Return the column converted, with its default instead of NULL unless the mode may keep a stored value."""
    converted = codec_of(column).from_text(column, text)
    if zone is not None and column.type.family is ColumnType.TIMESTAMP.family:
        converted = _in_zone(column, text, converted, finding, zone)
    for problem, rows in converted.problems.items():
        if problem == "type" and column.type is ColumnType.UUID:
            finding.add("invisible", column, rows & invisible_in(text), final=True)
        finding.add(problem, column, rows, final=True)
    if server is not None and (type_ := codec_of(column).server_type) is not None:
        texts = codec_of(column).to_literal(column, converted.values)
        finding.add_refusals(column, texts, server.refused(type_, pc.unique(texts).drop_null()))
    if column.default is None or not converted.values.null_count or mode.rules.keeps_absent_cells:
        return converted.values
    filled = pc.fill_null(converted.values, codec_of(column).default(column))
    return without(filled, finding.failed_cells(column.name))


def _in_zone(
    column: Column, text: pa.Array, converted: TypedColumn, finding: "_Finding", zone: str
) -> TypedColumn:
    """Return the column with its times without an offset in the time zone."""
    read = in_zone(converted.values, text, zone)
    finding.add("type", column, read.gap, final=True, sentences=partial(skipped, zone))
    finding.add("type", column, read.overlap, final=True, sentences=partial(repeated, zone))
    outside = converted.problems.get("range", False) | read.outside
    return TypedColumn(read.values, {**converted.problems, "range": outside})


def _left_to_load(
    records: pa.RecordBatch, typed: dict[str, pa.Array], table: Table, mode: Mode, absent: pa.Array | None
) -> dict[str, np.ndarray]:
    """Return masks, by required column, of the rows that need no value there if they change a stored row.

    A row without any key is always new.
    """
    if not mode.rules.keeps_absent_cells:
        return {}
    defaults = [table.column(name) for name in typed if table.column(name).default is not None]
    left = {column.name: mask(typed[column.name].is_null()) for column in defaults}
    if absent is None:
        return left
    has_key = np.zeros(len(records), bool)
    for key in (key for key in table.identifying_keys if key.is_in(list(typed))):
        filled = (mask(pc.not_equal(records[name], "")) for name in key.columns)
        has_key |= np.logical_and.reduce(list(filled))
    lacking = absence.absent(pa.table({absence.COLUMN: absent}), table)
    return left | {name: rows & has_key for name, rows in lacking.items()}


def _frame(typed: dict[str, pa.Array], rows: int) -> pd.DataFrame:
    """Return an Arrow-backed frame without a copy, indexed by position in the batch: row numbers may have gaps."""
    cells = {
        name: pd.arrays.ArrowExtensionArray(pa.chunked_array([values])) for name, values in typed.items()
    }
    return pd.DataFrame(cells, index=pd.RangeIndex(rows))


def _named_cells(records: pa.RecordBatch, found: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Return masks of the rows of `records` that `found` names, by column."""
    named = found.filter(pc.is_valid(found["column"]))
    return {
        name: mask(pc.is_in(records["_row"], named.filter(pc.equal(named["column"], name))["row"]))
        for name in pc.unique(named["column"]).to_pylist()
    }


class _Finding:
    """Collects the failures of a batch, and the cells that need no further checks."""

    def __init__(self, records: pa.RecordBatch, done: dict[str, np.ndarray]) -> None:
        self.records = records
        self._done = done
        self._failed = {name: rows.copy() for name, rows in done.items()}
        self._read: dict[str, pa.Array] = {}
        self._sentences: dict[str, Sentences] = {}
        self._batches: list[pa.RecordBatch] = []

    def add(
        self,
        check: str,
        column: Column,
        rows: np.ndarray,
        *,
        final: bool = False,
        sentences: Sentences | None = None,
    ) -> None:
        rows = rows & ~self._rows(self._done, column.name)
        if not rows.any():
            return
        self._failed[column.name] = self._rows(self._failed, column.name) | rows
        if final or CHECKS[check].is_final:
            self._done[column.name] = self._rows(self._done, column.name) | rows
        places = pa.array(np.flatnonzero(rows))
        cells = self.records[column.name].take(places)
        if sentences is None:
            sentences = self._sentences.get(column.name) if check == "type" else None
        said = self._read[column.name].take(places) if column.name in self._read else cells
        message = (sentences or CHECKS[check].sentences)(column, said)
        self._append(_codes(check, places), places, column.name, value(cells), message)

    def add_unread(self, column: Column, cells: ReadCells, notation: Notation | None) -> None:
        """Add failures of the cells that are not in the declared notation, which later sentences name too."""
        if column.type.facts.is_text:
            self._read[column.name] = pc.coalesce(cells.texts, self.records[column.name])
        if notation is not None:
            self._sentences[column.name] = partial(not_as_declared, notation)
            self.add("type", column, cells.unread, final=True)
            self.add("type", column, cells.ambiguous, final=True, sentences=ambiguous)

    def add_refusals(self, column: Column, texts: pa.Array, refusals: Mapping[str, Refusal]) -> None:
        """Add failures of the cells whose texts the database refuses."""
        place_of = pc.index_in(texts, pa.array(refusals, pa.string()))
        rows = mask(pc.is_valid(place_of)) & ~self._rows(self._done, column.name)
        if not rows.any():
            return
        for done in (self._failed, self._done):
            done[column.name] = self._rows(done, column.name) | rows
        places = pa.array(np.flatnonzero(rows))
        answers = [*refusals.values()]
        cells, known = self.records[column.name].take(places), place_of.take(places)
        said = pa.array([answer.message for answer in answers], pa.string()).take(known)
        before = pc.binary_join_element_wise(
            f"{column.name} '", shown(cells), f"' is not {column.type}: ", ""
        )
        codes = pa.array([str(answer.code) for answer in answers], pa.string()).take(known)
        self._append(codes, places, column.name, value(cells), pc.binary_join_element_wise(before, said, ""))

    def add_rule(self, check: str, columns: tuple[str, ...], message: str, rows: np.ndarray) -> None:
        """Add failures of a row rule, for rows in which none of the rule's cells has failed."""
        for name in columns:
            rows = rows & ~self.failed_cells(name)
        if rows.any():
            places = pa.array(np.flatnonzero(rows))
            unknown = pa.nulls(len(places), pa.string())
            self._append(_codes(check, places), places, None, unknown, pa.repeat(message, len(places)))

    def failed_cells(self, name: str) -> np.ndarray:
        return self._rows(self._failed, name)

    def failures(self) -> pa.RecordBatch:
        """Return the failures in row order, those of one row in the order of its columns, row rules last."""
        if not self._batches:
            return none()
        names = self.records.schema.names
        batch = pa.concat_batches(self._batches)
        position = pc.fill_null(pc.index_in(batch["column"], pa.array(names)), len(names))
        return batch.take(pa.array(np.lexsort((position.to_numpy(), batch["row"].to_numpy()))))

    def _rows(self, cells: dict[str, np.ndarray], name: str) -> np.ndarray:
        return cells.get(name, np.zeros(len(self.records), dtype=bool))

    def _append(
        self, code: pa.Array, places: pa.Array, column: str | None, value: pa.Array, message: pa.Array
    ) -> None:
        name = pa.repeat(pa.scalar(column, pa.string()), len(places))
        rows, lines = self.records["_row"].take(places), self.records["_line"].take(places)
        batch = pa.RecordBatch.from_arrays([rows, lines, name, code, value, message], schema=FAILURES)
        self._batches.append(batch)


def _codes(check: str, places: pa.Array) -> pa.Array:
    return pa.repeat(code_of(check), len(places))
