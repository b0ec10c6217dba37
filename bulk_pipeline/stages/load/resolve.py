"""Applies rows to keys, one after the other: for the few rows of an upsert whose fates depend on each other.

Rows depend on each other when they share an id or a natural key without sharing both, or when one gives up a
key that another one names. All others are decided by set-based joins and never come here (see
`search`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias


class Fate(StrEnum):
    """What becomes of a row."""

    INSERT = "insert"
    UPDATE = "update"
    SUPERSEDED = "superseded"
    CONFLICT = "conflict"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class KeyedRow:
    """What decides about a row. Without a `key` it leaves the natural key as it is.

    `unsaid`: the columns that it says nothing about. `lacks`: a required one is among them, so it cannot be a new row.
    """

    row: int
    id: str | None
    key: str | None
    unsaid: frozenset[str] = frozenset()
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The fate of a row.

    `id`: of the row in the table that it writes; None for a new row without an id of its own. `rekeys`: in
    its turn the row gives another natural key to a row that was in the table before. `differs`: the natural
    key at the end is not the one from before. `carried`: columns that it leaves unsaid, each with the number of
    the overwritten row that has said it last.
    """

    row: int
    fate: Fate
    id: str | None = None
    rekeys: bool = False
    differs: bool = False
    carried: tuple[tuple[str, int], ...] = ()


def resolve(rows: Iterable[KeyedRow], stored: Mapping[str, str | None]) -> list[Decision]:
    """Decide about `rows`, in the order given, which is that of the file.

    `stored`: id -> natural key of every row in the table that has an id or a natural key of one of `rows`.
    """
    keys = _Keys(stored)
    decisions: dict[int, Decision] = {}
    last: dict[_Target, tuple[KeyedRow, Decision]] = {}
    for row in rows:
        target = keys.target(row)
        if target is None:
            decisions[row.row] = Decision(row.row, Fate.CONFLICT)
            continue
        if row.lacks and target not in stored and target not in last:
            decisions[row.row] = Decision(row.row, Fate.INCOMPLETE)
            continue
        known = isinstance(target, str)
        key = keys.of.get(target) if row.key is None else row.key
        decision = Decision(
            row.row,
            fate=Fate.UPDATE if target in stored else Fate.INSERT,
            id=target if known else None,
            rekeys=target in stored and keys.of[target] != key,
            differs=known and target in stored and stored[target] != key,
        )
        if target in last:
            overwritten, before = last[target]
            decisions[before.row] = replace(before, fate=Fate.SUPERSEDED)
            decision = replace(decision, carried=_carried(row, overwritten, before))
        keys.give(target, key)
        decisions[row.row] = decision
        last[target] = row, decision
    return list(decisions.values())


_Target: TypeAlias = str | int
"""A row of the table: its id, or for a new one without id the number of the row that makes it."""


@dataclass
class _Keys:
    """The natural keys as they stand after the rows so far."""

    stored: Mapping[str, str | None]
    of: dict[_Target, str | None] = field(init=False)
    holder: dict[str, _Target] = field(init=False)

    def __post_init__(self) -> None:
        self.of = {**self.stored}
        self.holder = {key: target for target, key in self.stored.items() if key is not None}

    def target(self, row: KeyedRow) -> _Target | None:
        """The row of the table that `row` means; None if its id and its natural key point at two."""
        holder = None if row.key is None else self.holder.get(row.key)
        if row.id is None:
            return row.row if holder is None else holder
        return row.id if holder in (None, row.id) else None

    def give(self, target: _Target, key: str | None) -> None:
        before = self.of.get(target)
        if before is not None:
            del self.holder[before]
        self.of[target] = key
        if key is not None:
            self.holder[key] = target


def _carried(row: KeyedRow, overwritten: KeyedRow, before: Decision) -> tuple[tuple[str, int], ...]:
    said = dict(before.carried)
    said |= dict.fromkeys(row.unsaid - overwritten.unsaid, overwritten.row)
    return tuple(sorted((name, source) for name, source in said.items() if name in row.unsaid))
