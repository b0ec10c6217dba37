"""Sample files of any size: realistic, with every kind of defect, and reproducible by seed.

A row is a pure function of (seed, table, number): children refer to rows of their parents' samples with the same seed.
The expected result of an import is known once the file is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.samples import cells
from bulk_pipeline.samples.checksum import MODULUS, checksum
from bulk_pipeline.samples.defects import Fate, defects
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.parts import Part, Recipe, part, written
from bulk_pipeline.samples.relations import Relations
from bulk_pipeline.samples.writing import header
from bulk_pipeline.schema import Column, Mode, Table

_PART_ROWS = 16_384


@dataclass(frozen=True)
class Expected:
    """The result that an import into an empty table must have, if the rows of its parents' samples exist.

    `codes`: failures by code. `checksum`: checksum of the table afterwards (`samples.checksum`) over
    `checksum_columns`, without ids that the database creates.
    """

    rows: int
    inserted: int
    superseded: int
    rejected: int
    codes: Mapping[str, int]
    checksum: int
    checksum_columns: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """A file of `rows` records. The fraction `bad` of them has a defect, spread evenly, every kind in turn.

    `parents`: number of good rows in the samples of other tables, by qualified name; default: as many as this one has.
    `declared`: the tables that references may lead to; default: all that are served.
    `revision`: revisions have the same rows, keys and references, and differ in one text of each row.
    """

    table: Table
    rows: int
    seed: int = 1
    bad: Fraction = Fraction(0)
    parents: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0
    declared: Sequence[Table] = ()

    def __post_init__(self) -> None:
        if self.rows < 0 or self.seed < 0 or self.revision < 0 or not 0 <= self.bad <= 1:
            raise ValueError("rows, seed and revision must not be negative, bad must be from 0 to 1")

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the file. Customers have neither ids nor timestamps, the other tables both."""
        return self.relations.columns(self.table)

    @cached_property
    def relations(self) -> Relations:
        """The samples of all tables, of which this is one."""
        rows = {**self.parents, str(self.table.qualified_name): self.good_rows}
        return Relations(self.declared or tables.in_load_order(), rows, max(self.good_rows, 1), self.bad > 0)

    @property
    def good_rows(self) -> int:
        return self.rows - int(self.rows * self.bad)

    def write(self, out: BinaryIO, format: Format = Format.CSV) -> dict[Mode, Expected]:
        """Write the file in constant memory. Return the expected result in each mode."""
        recipe = self._recipe(format)
        outcomes = {mode: _Outcome(self, mode) for mode in Mode}
        out.write(header(self.columns, format))
        for rows in self._parts(recipe):
            out.write(written(recipe, rows, format))
            for outcome in outcomes.values():
                outcome.add(rows)
        return {mode: outcome.expected() for mode, outcome in outcomes.items()}

    def good(self) -> Iterator[pa.RecordBatch]:
        """Yield typed values of the good rows, in file order; batches of the file's columns."""
        for rows in self._parts(self._recipe(Format.CSV)):
            yield rows.good.values

    def _recipe(self, format: Format) -> Recipe:
        cells.check(self.relations, self.table)
        bad = Fraction(self.bad)
        kinds = defects(self.table, self.relations, format, self.seed) if bad else ()
        return Recipe(self.table, self.columns, self.seed, bad, self.relations, kinds, self.revision)

    def _parts(self, recipe: Recipe) -> Iterator[Part]:
        for start in range(0, self.rows, _PART_ROWS):
            yield part(recipe, start, min(start + _PART_ROWS, self.rows))


class _Outcome:
    """The result of the rows in one mode, accumulated part by part."""

    def __init__(self, sample: Sample, mode: Mode) -> None:
        required = sample.table.required_columns
        made = {*required(Mode.INSERT_ONLY)} - {*required(mode)}
        names = [column.name for column in sample.columns]
        self._columns = tuple(column for column in sample.columns if column.name not in made)
        self._key = next((key.columns for key in sample.table.keys if key.is_in(names)), ())
        self._mode = mode
        self._good = 0
        self._answers: Counter[str] = Counter()
        self._checksum = 0

    def add(self, part: Part) -> None:
        answers = np.array([defect.answer(self._mode) for defect in part.defects], dtype=object)
        self._good += len(part.good.values)
        self._answers.update(answers.tolist())
        self._checksum += self._sum(part.good.values)
        self._checksum += self._sum(part.bad.only(answers == Fate.INSERTED).values)
        superseding = answers == Fate.SUPERSEDES
        if superseding.any():
            earlier, later = part.previous.only(superseding).values, part.bad.only(superseding).values
            for name in self._key:
                later = later.set_column(later.schema.get_field_index(name), name, earlier[name])
            self._checksum += self._sum(later) - self._sum(earlier)

    def expected(self) -> Expected:
        codes = {answer: count for answer, count in sorted(self._answers.items()) if answer not in set(Fate)}
        inserted, superseded = self._answers[Fate.INSERTED], self._answers[Fate.SUPERSEDES]
        return Expected(
            rows=self._good + self._answers.total(),
            inserted=self._good + inserted,
            superseded=superseded,
            rejected=sum(codes.values()),
            codes={str(code): count for code, count in codes.items()},
            checksum=self._checksum % MODULUS,
            checksum_columns=tuple(column.name for column in self._columns),
        )

    def _sum(self, rows: pa.RecordBatch) -> int:
        return checksum(rows, self._columns)
