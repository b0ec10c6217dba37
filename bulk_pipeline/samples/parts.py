"""A part of a sample: the rows at some positions in the file, and their lines."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import cells
from bulk_pipeline.samples.defects import Defect
from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.relations import BAD_ROWS_FROM, Relations
from bulk_pipeline.samples.types import sample_of
from bulk_pipeline.samples.writing import encoded
from bulk_pipeline.schema import Column, Table


@dataclass(frozen=True)
class Recipe:
    """The parameters of rows. `columns`: those of the file."""

    table: Table
    columns: tuple[Column, ...]
    seed: int
    bad: Fraction
    relations: Relations
    defects: tuple[Defect, ...]
    revision: int = 0

    def bad_before(self, positions: np.ndarray) -> np.ndarray:
        """Return the number of bad rows before each position; they are spread evenly."""
        return positions * self.bad.numerator // self.bad.denominator


@dataclass(frozen=True)
class SampleRows:
    """Typed values of some rows, with their numbers."""

    rows: Rows
    values: pa.RecordBatch

    def only(self, chosen: np.ndarray) -> "SampleRows":
        rows = Rows(self.rows.seed, self.rows.table, self.rows.index[chosen])
        return SampleRows(rows, self.values.filter(pa.array(chosen)))


@dataclass(frozen=True)
class Part:
    """`good`: good rows. `bad`: bad rows without their `defects`, one for each. `previous`: for each bad row the good
    row before it. `is_bad`: which positions have a bad row."""

    is_bad: np.ndarray
    good: SampleRows
    bad: SampleRows
    previous: SampleRows
    defects: tuple[Defect, ...]


def part(recipe: Recipe, start: int, stop: int) -> Part:
    positions = np.arange(start, stop)
    bad_before = recipe.bad_before(positions)
    is_bad = recipe.bad_before(positions + 1) > bad_before
    number = positions - bad_before
    follows_good = (positions > 0) & (recipe.bad_before(np.maximum(positions - 1, 0)) == bad_before)
    turns = zip(bad_before[is_bad].tolist(), follows_good[is_bad].tolist(), strict=True)
    return Part(
        is_bad,
        _make(recipe, number[~is_bad]),
        _make(recipe, BAD_ROWS_FROM + bad_before[is_bad]),
        _make(recipe, np.maximum(number[is_bad] - 1, 0)),
        tuple(_defect(recipe.defects, turn, has_previous) for turn, has_previous in turns),
    )


def written(recipe: Recipe, part: Part, format: Format) -> bytes:
    """Return the lines of the part, in file order."""
    lines = encoded(recipe.columns, _texts(recipe, part.good), format)
    if not part.defects:
        return b"".join(lines.to_pylist())
    good, bad = iter(lines.to_pylist()), iter(_bad_lines(recipe, part, format))
    return b"".join(next(bad) if is_bad else next(good) for is_bad in part.is_bad.tolist())


def _make(recipe: Recipe, numbers: np.ndarray) -> SampleRows:
    rows = Rows(recipe.seed, recipe.table.upload_name, numbers.astype(np.uint64))
    arrays = [cells.values(recipe.relations, recipe.table, column, rows) for column in recipe.columns]
    arrays = cells.keep_rules(recipe.relations, recipe.table, recipe.columns, arrays, rows)
    if recipe.revision:
        column = cells.revisable(recipe.table, recipe.columns)
        place = recipe.columns.index(column)
        arrays[place] = cells.revised(column, arrays[place], recipe.revision)
    if recipe.bad:
        arrays = [_on_one_line(values) for values in arrays]
    return SampleRows(
        rows, pa.RecordBatch.from_arrays(arrays, names=[column.name for column in recipe.columns])
    )


def _on_one_line(values: pa.Array) -> pa.Array:
    """Return the texts on one line each. After a damaged record, reading continues at the next valid line, which could
    be any line of a longer record: without such records the counts are known."""
    return pc.replace_substring(values, "\n", " ") if pa.types.is_string(values.type) else values


def _defect(kinds: tuple[Defect, ...], turn: int, has_previous: bool) -> Defect:
    """Return the kinds in turn; where a kind needs a previous good row and there is none, the first that needs none."""
    kind = kinds[turn % len(kinds)]
    if kind.from_previous and not has_previous:
        return next(kind for kind in kinds if not kind.from_previous)
    return kind


def _bad_lines(recipe: Recipe, part: Part, format: Format) -> list[bytes]:
    names = [column.name for column in recipe.columns]
    own = pa.RecordBatch.from_arrays(_texts(recipe, part.bad), names=names).to_pylist()
    previous = pa.RecordBatch.from_arrays(_texts(recipe, part.previous), names=names).to_pylist()
    records = [
        row | {name: before[name] for name in defect.from_previous} | defect.cells
        for row, before, defect in zip(own, previous, part.defects, strict=True)
    ]
    texts = [pa.array([record[name] for record in records], pa.string()) for name in names]
    lines = encoded(recipe.columns, texts, format).to_pylist()
    return [
        defect.damage(line[:-1]) + b"\n" if defect.damage else line
        for line, defect in zip(lines, part.defects, strict=True)
    ]


def _texts(recipe: Recipe, sample_rows: SampleRows) -> list[pa.Array]:
    pairs = zip(recipe.columns, sample_rows.values.columns, strict=True)
    return [sample_of(column).texts(column, values, sample_rows.rows) for column, values in pairs]
