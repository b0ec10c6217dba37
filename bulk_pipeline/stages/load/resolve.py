"""Applies rows to keys, one after the other: for the few rows of an upsert whose fates depend on each other.

Rows depend on each other when they share a key without sharing all, or when one gives up a key that another one names.
All others are decided by set-based joins and never come here (see `search`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from bulk_pipeline.schema import Key

KeyCells: TypeAlias = Mapping[str, str | None]
"""Texts of key columns. A row of a file has those that it says something about, a stored row has all."""


KeyValue: TypeAlias = tuple[str | None, ...]
"""The texts of the columns of one key."""
Owners: TypeAlias = Callable[[Key, Collection[KeyValue]], Iterable[KeyCells]]
"""Gives the stored rows that have one of these values of a key, without those it gave before."""
NOTHING: KeyCells = MappingProxyType({})


class Fate(StrEnum):
    """The outcome of a row."""

    INSERT = "insert"
    UPDATE = "update"
    SUPERSEDED = "superseded"
    CONFLICT = "conflict"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class KeyedRow:
    """The facts that decide a row's outcome. An update leaves the key columns that `says` does not have as they are.

    `unsaid`: the columns that it says nothing about. `lacks`: a required one is among them, so it cannot be a new row.
    """

    row: int
    says: KeyCells
    unsaid: frozenset[str] = frozenset()
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The fate of a row.

    `rekeys`: True if this row changes key columns of a stored row. `differs`: True if the key columns of that stored
    row then differ from those it had before the import. `carried`: columns that it leaves unsaid, each with the number
    of the overwritten row that has said it last. `by`: for a superseded row, the next one that means the same row.
    """

    row: int
    fate: Fate
    rekeys: bool = False
    differs: bool = False
    carried: tuple[tuple[str, int], ...] = ()
    by: int | None = None


def resolve(
    rows: Sequence[KeyedRow],
    stored: Iterable[KeyCells],
    keys: Sequence[Key],
    blank: KeyCells = NOTHING,
    owners: Owners = lambda key, values: (),
) -> list[Decision]:
    """Decide about `rows`, in the order given, which is that of the file.

    `stored`: every row in the table that has a key of one of `rows`. `blank`: what a new row has where it says nothing.
    A row that says only some columns of a key has it together with the row that it changes: `owners` is asked for the
    stored rows with such keys, and if there are any, the rows are applied again.
    """
    known, asked = list(stored), {key: set[KeyValue]() for key in keys}
    while True:
        holders = _Holders(known, keys, blank)
        decisions = _applied(rows, known, holders)
        found = list[KeyCells]()
        for key, values in holders.joint.items():
            if unasked := values - asked[key]:
                asked[key] |= unasked
                found += owners(key, unasked)
        if not found:
            return decisions
        known += found


def _applied(rows: Iterable[KeyedRow], stored: Sequence[KeyCells], holders: "_Holders") -> list[Decision]:
    decisions: dict[int, Decision] = {}
    last: dict[_Target, tuple[KeyedRow, Decision]] = {}
    for row in rows:
        target = holders.target(row)
        if target is None:
            decisions[row.row] = Decision(row.row, Fate.CONFLICT)
            continue
        is_stored = target < 0
        if row.lacks and not is_stored and target not in last:
            decisions[row.row] = Decision(row.row, Fate.INCOMPLETE)
            continue
        changed = holders.give(target, row.says)
        decision = Decision(
            row.row,
            fate=Fate.UPDATE if is_stored else Fate.INSERT,
            rekeys=is_stored and changed,
            differs=is_stored and holders.cells[target] != {**stored[-1 - target]},
        )
        if target in last:
            overwritten, before = last[target]
            decisions[before.row] = replace(before, fate=Fate.SUPERSEDED, by=row.row)
            decision = replace(decision, carried=_carried(row, overwritten, before))
        decisions[row.row] = decision
        last[target] = row, decision
    return list(decisions.values())


def key_value(key: Key, cells: KeyCells) -> KeyValue | None:
    """Return the values of a key; None where it is incomplete."""
    if any(name not in cells for name in key.columns):
        return None
    values = tuple(cells[name] for name in key.columns)
    return None if key.nulls_distinct and None in values else values


_Target: TypeAlias = int
"""A row of the table: -1 is the first stored one, -2 the second; of a new one the number of the row that makes it."""


class _Holders:
    """The keys as they stand after the rows so far. `cells`: the key columns of each row of the table. `joint`: the
    values of keys that rows would have only together with the row that they change, and that no row had then."""

    def __init__(self, stored: Sequence[KeyCells], keys: Sequence[Key], blank: KeyCells) -> None:
        self._keys = keys
        self._blank = blank
        self._holders: list[dict[KeyValue, _Target]] = [{} for _ in keys]
        self.cells: dict[_Target, dict[str, str | None]] = {}
        self.joint: dict[Key, set[KeyValue]] = {}
        for number, cells in enumerate(stored):
            self.give(-1 - number, cells)

    def target(self, row: KeyedRow) -> _Target | None:
        """Return the row of the table that `row` means, by the first of its keys; None if its keys point at several,
        or if it would take the key of another one."""
        named = [key_value(key, row.says) for key in self._keys]
        complete = [
            (holders, value) for holders, value in zip(self._holders, named, strict=True) if value is not None
        ]
        found = complete[0][0].get(complete[0][1]) if complete else None
        target = row.row if found is None else found
        after = {**self.cells.get(target, self._blank), **row.says}
        is_free = True
        for (holders, key), said in zip(self._pairs(), named, strict=True):
            if (value := key_value(key, after)) is None:
                continue
            if said is None and value not in holders:
                self.joint.setdefault(key, set()).add(value)
            is_free &= holders.get(value, target) == target
        return target if is_free else None

    def give(self, target: _Target, says: KeyCells) -> bool:
        """Let a row of the table have these cells; return whether that changes its key columns."""
        before = self.cells.get(target, {})
        after = {**(before or self._blank), **says}
        if after == before:
            return False
        for holders, key in self._pairs():
            if (old := key_value(key, before)) is not None:
                del holders[old]
            if (new := key_value(key, after)) is not None:
                holders[new] = target
        self.cells[target] = after
        return True

    def _pairs(self) -> Iterable[tuple[dict[KeyValue, _Target], Key]]:
        return zip(self._holders, self._keys, strict=True)


def _carried(row: KeyedRow, overwritten: KeyedRow, before: Decision) -> tuple[tuple[str, int], ...]:
    said = dict(before.carried)
    said |= dict.fromkeys(row.unsaid - overwritten.unsaid, overwritten.row)
    return tuple(sorted((name, source) for name, source in said.items() if name in row.unsaid))
