"""Relations between the rows of samples: values of keys differ, and references lead to rows of other samples.

Both are functions of a row's number, so that a row can be made without the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.names import distinct_of
from bulk_pipeline.schema import Column, ForeignKey, Generated, Key, Mode, Table

BAD_ROWS_FROM = 1 << 40
"""Bad rows have numbers that no good row has."""
NOBODY = BAD_ROWS_FROM - 1
"""The number of a row that no sample has."""
_MANY = 1 << 42
"""A key with more values needs no care about its last one."""
_ROWS_TOGETHER = 4
"""Rows of a child that refer to the same parent in a row: the lines of an order."""
_MOST_PER_DIGIT = 100

Numbers = Callable[[Rows], np.ndarray]
"""A function from rows to one uint64 for each."""


@dataclass(frozen=True)
class Reference:
    """The value of a column in `column` of the row of `parent` with the number `numbers`; NULL in some rows."""

    parent: Table
    column: Column
    numbers: Numbers
    has_nulls: bool
    purpose: str


@dataclass
class Plan:
    """The columns of one table that hold a value for each number, a reference, or nothing. Others are drawn.

    `breakable`: foreign keys that can be broken by themselves. `filled`: an optional column without NULLs, where no
    column is required: a line of empty cells is no row.
    """

    numbers: dict[str, Numbers] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    breakable: list[ForeignKey] = field(default_factory=list)
    filled: str | None = None

    def settles(self, column: str) -> bool:
        return column in self.numbers or column in self.references or column in self.empty


@dataclass(frozen=True)
class Relations:
    """`declared`: all tables. `rows`: good rows in the sample of each, by qualified name; `others` of one not named.

    `has_bad`: whether samples have bad rows, which take half of the values of a key.
    """

    declared: Sequence[Table]
    rows: Mapping[str, int]
    others: int
    has_bad: bool = False

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {str(table.qualified_name): table for table in self.declared}

    @cached_property
    def _plans(self) -> dict[str, Plan]:
        return {}

    def rows_of(self, table: Table) -> int:
        return self.rows.get(str(table.qualified_name), self.others)

    def columns(self, table: Table) -> tuple[Column, ...]:
        """Return the columns of a sample: those that a file needs, and those that other tables refer to."""
        left_out = {column.name for column in table.columns if not column.is_writable} | {*table.touch}
        if not {*table.primary_key} & {*table.required_columns(Mode.INSERT_ONLY)}:
            left_out |= {column.name for column in table.columns if column.is_made} - self._referred_to(table)
        return tuple(column for column in table.columns if column.name not in left_out)

    def _referred_to(self, table: Table) -> set[str]:
        keys = (key for other in (table, *self.declared) for key in other.foreign_keys)
        return {name for key in keys if key.parent == table.qualified_name for name in key.references}

    def plan(self, table: Table) -> Plan:
        """Return the plan of a table. `SelectionError` if its keys or references cannot be right."""
        name = str(table.qualified_name)
        if name not in self._plans:
            self._plans[name] = _Planner(self, table).plan()
        return self._plans[name]

    def parent(self, key: ForeignKey) -> Table | None:
        """Return the table that a foreign key refers to, if it is declared and its sample has the key's columns."""
        parent = self._tables.get(str(key.parent))
        if parent is None:
            return None
        names = {column.name for column in self.columns(parent)}
        return parent if names >= {*key.references} else None


class _Planner:
    def __init__(self, relations: Relations, table: Table) -> None:
        self._relations, self._table = relations, table
        self._names = [column.name for column in relations.columns(table)]
        self._plan = Plan()
        self._groups: list[tuple[ForeignKey, Table]] = []

    def plan(self) -> Plan:
        for key in sorted(self._table.foreign_keys, key=lambda key: -len(key.columns)):
            if key.is_in(self._names):
                self._take(key)
        unique: list[Key] = []
        for key in sorted(self._table.keys, key=lambda key: len(key.columns)):
            if key.is_in(self._names) and not any({*known.columns} <= {*key.columns} for known in unique):
                self._make_unique(key)
            unique.append(key)
        for key, parent in self._groups:
            if key.columns[0] not in self._plan.references:
                self._refer(key, parent, self._drawn(key, parent))
        if not any(self._is_required(name) or name in self._plan.numbers for name in self._names):
            self._plan.filled = next((name for name in self._names if not self._plan.settles(name)), None)
        self._plan.breakable = [key for key, _ in self._groups if not self._shares_columns(key)]
        return self._plan

    def _take(self, key: ForeignKey) -> None:
        """Decide whether a foreign key is made by itself, follows from another one, or is left NULL."""
        taken = [(other, parent) for other, parent in self._groups if {*other.columns} & {*key.columns}]
        parent = self._table if key.parent == self._table.qualified_name else self._relations.parent(key)
        is_keyed = {*key.columns} & {*self._table.key_columns}
        if parent is not None and not taken and not (parent is self._table and is_keyed):
            self._groups.append((key, parent))
        elif not any(_follows(key, other, parent) for other, parent in taken):
            self._leave_empty(key, [name for other, _ in taken for name in other.columns], parent)

    def _leave_empty(self, key: ForeignKey, taken: Iterable[str], parent: Table | None) -> None:
        """Without a value in one of its columns, a foreign key refers to no row."""
        free = [name for name in key.columns if name not in taken and not self._is_required(name)]
        if not free:
            reason = "no table of that name is declared, or its sample has no such columns"
            if parent is not None:
                reason = "its columns are also in a key or in another foreign key"
            raise SelectionError(
                f"table {self._table.upload_name}: a sample needs values for {key}, which refers to {key.table}: "
                f"{reason}"
            )
        self._plan.empty |= {*free}

    def _make_unique(self, key: Key) -> None:
        """Spread the numbers of rows over the columns of the key, like digits."""
        plan, table = self._plan, self._table
        groups = [
            (foreign, parent)
            for foreign, parent in self._groups
            if {*foreign.columns} <= {*key.columns} and foreign.columns[0] not in plan.references
        ]
        in_groups = {name for foreign, _ in self._groups for name in foreign.columns}
        free = [
            table.column(name) for name in key.columns if not plan.settles(name) and name not in in_groups
        ]
        if plan.empty & {*key.columns} and key.nulls_distinct:
            return
        counts = {column.name: found.count for column in free if (found := distinct_of(column)) is not None}
        if not groups and not counts:
            raise SelectionError(
                f"table {table.upload_name}: a sample cannot make the key ({key}) differ from row to row: "
                "its columns are also in another key, or nothing is known about different values of their types"
            )
        radices = [(foreign, max(self._relations.rows_of(parent), 1)) for foreign, parent in groups]
        last = max(counts, key=lambda name: counts[name], default=None)
        if last is not None and counts[last] >= _MANY and not groups:
            plan.numbers[last] = self._places(key, counts[last], lambda slots: slots)
            return
        together = _ROWS_TOGETHER if groups and last is not None and counts[last] > _ROWS_TOGETHER else 1
        digits: list[tuple[ForeignKey | str, int]] = [*radices]
        digits += [(name, min(count, _MOST_PER_DIGIT)) for name, count in counts.items() if name != last]
        count = together * (counts[last] // together if last is not None else 1)
        for _, radix in digits:
            count *= radix
        before, earlier = together, None
        for target, radix in digits:
            numbers = self._places(key, count, _digit(before, radix, earlier))
            if isinstance(target, ForeignKey):
                self._refer(target, next(p for foreign, p in groups if foreign is target), numbers)
            else:
                plan.numbers[target] = numbers
            earlier = (before, radix) if last is None else None
            before *= radix
        if last is not None:
            plan.numbers[last] = self._places(key, count, _last(together, before))

    def _places(self, key: Key, count: int, of: Callable[[np.ndarray], np.ndarray]) -> Numbers:
        """Return the numbers that `of` makes of the places of rows among the `count` values of a key."""
        return lambda rows: of(self._slots(key, count, rows.index))

    def _slots(self, key: Key, count: int, index: np.ndarray) -> np.ndarray:
        if count >= _MANY:
            return index
        bad, middle = index >= BAD_ROWS_FROM, count // 2
        slots = np.where(bad, middle + (index - BAD_ROWS_FROM), index)
        good = ~bad & (index != NOBODY)
        most = middle if self._relations.has_bad else count
        if (slots[good] >= most).any() or (slots[bad] >= count - 1).any():
            raise SelectionError(
                f"table {self._table.upload_name}: the key ({key}) has {count:,} different values in a sample"
                f"{', half of them for bad rows' if self._relations.has_bad else ''}: ask for fewer rows, or for more "
                "rows of the tables that it refers to"
            )
        return np.where(index == NOBODY, count - 1, slots).astype(np.uint64)

    def _drawn(self, key: ForeignKey, parent: Table) -> Numbers:
        purpose = str(key)
        if parent is self._table:
            return lambda rows: np.where(
                rows.index < BAD_ROWS_FROM,
                rows.draw(purpose) % (rows.index % np.uint64(NOBODY) + np.uint64(1)),
                0,
            ).astype(np.uint64)
        return lambda rows: rows.below(max(self._relations.rows_of(parent), 1), purpose).astype(np.uint64)

    def _refer(self, key: ForeignKey, parent: Table, numbers: Numbers) -> None:
        is_free = not any(self._is_required(name) or name in self._table.key_columns for name in key.columns)
        for name, referred in zip(key.columns, key.references, strict=True):
            self._plan.references[name] = Reference(
                parent, parent.column(referred), numbers, is_free, str(key)
            )

    def _shares_columns(self, key: ForeignKey) -> bool:
        others = (other for other in self._table.foreign_keys if other is not key)
        return any({*other.columns} & {*key.columns} for other in others)

    def _is_required(self, name: str) -> bool:
        return is_required(self._table, self._table.column(name))


def is_required(table: Table, column: Column) -> bool:
    """Return whether each row of a sample has a value: it is required in a mode, or never NULL in the table."""
    in_modes = any(column.name in table.required_columns(mode) for mode in Mode)
    return in_modes or column.name in table.primary_key or column.generated is Generated.UUID


def _follows(key: ForeignKey, other: ForeignKey, parent: Table) -> bool:
    """Return whether a foreign key holds because another one does, whose parent refers to the same table in turn."""
    if not {*key.columns} <= {*other.columns}:
        return False
    there = dict(zip(other.columns, other.references, strict=True))
    pairs = {(there[name], referred) for name, referred in zip(key.columns, key.references, strict=True)}
    if key.parent == other.parent:
        return pairs == {(referred, referred) for _, referred in pairs}
    return any(
        further.parent == key.parent and {*zip(further.columns, further.references, strict=True)} == pairs
        for further in parent.foreign_keys
    )


def _digit(before: int, radix: int, skew: tuple[int, int] | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the digit with that place value. `skew`: an earlier digit that is added, so that both change together."""

    def of(slots: np.ndarray) -> np.ndarray:
        digit = slots // np.uint64(before)
        if skew is not None:
            digit = digit + slots // np.uint64(skew[0]) % np.uint64(skew[1])
        return digit % np.uint64(radix)

    return of


def _last(together: int, before: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what the other digits leave: the lowest part, and the highest."""
    low, high = np.uint64(together), np.uint64(before)
    return lambda slots: slots % low + low * (slots // high)
