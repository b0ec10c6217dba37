"""The protocol of the store that is passed to `stages.load`: all that loading needs of the database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from bulk_pipeline.schema import ForeignKey, Key, Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.load.resolve import Decision, KeyCells


@dataclass(frozen=True, order=True)
class Range:
    """Source rows `first` to `last`, both included: the rows of one transaction."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"rows {self.first} to {self.last}"


@dataclass(frozen=True)
class RangeOutcome:
    """The outcome of the rows of a range. `failures`: found while loading, in row order."""

    counts: LoadCounts = field(default_factory=LoadCounts)
    failures: pa.RecordBatch = field(default_factory=none)


@dataclass(frozen=True)
class Comparison:
    """Rows of an upsert beside the table: four int64 arrays of row numbers. Rows in none are new.

    `same`: already there as they are. `changed`: there, but different. `conflicting`: their keys point at different
    rows. `linked`: may concern the same stored row without sharing a key: row A finds a stored row by one key, and
    changes or omits another of its keys, which row B names. Linked rows are in one of the other arrays too, or new.
    """

    same: np.ndarray
    changed: np.ndarray
    conflicting: np.ndarray
    linked: np.ndarray


@dataclass(frozen=True)
class Rekey:
    """Key columns that a stored row gets. `by`: the key that it is found by, which keeps its value among `cells`."""

    by: Key
    cells: KeyCells


Texts: TypeAlias = Mapping[str, pa.Array]
"""Cells by column, as Postgres reads and writes them."""
Event: TypeAlias = Literal["insert", "update"]


@dataclass(frozen=True)
class UpdateResult:
    """`changed`: how many rows of the table are different now. `missing`: the `_row`s that met no row. `dropped`: those
    that met one, which a trigger has kept as it was."""

    changed: int
    missing: np.ndarray
    dropped: np.ndarray


class BatchWriter(Protocol):
    """Writes to the table inside the transaction of one batch.

    Rows are Arrow tables of `_row`, `_line` and columns of the table. A refusal by the database raises
    `RowsRefusedError`; the transaction can be used again only after the enclosing `savepoint` has ended.
    """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo the block if rows are refused in it, by deferred constraints too: these are checked at its end."""
        ...

    def insert(self, rows: pa.Table) -> np.ndarray:
        """Add rows; gives the `_row`s of those that are not in the table then, as a trigger dropped them."""
        ...

    def skips_taken(self) -> bool:
        """Return whether `insert_unless_taken` can be used: not with every constraint."""
        ...

    def insert_unless_taken(self, rows: pa.Table) -> np.ndarray:
        """Add those rows whose keys are free; gives the `_row`s of those that are not in the table then."""
        ...

    def dropped(self, event: Event) -> str:
        """Why a row may not be in the table after it was inserted or updated: names the triggers."""
        ...

    def update(self, rows: pa.Table, by: Key) -> UpdateResult:
        """Change the rows found by the key `by` wherever they differ, or where `_forced` says so."""
        ...

    def rekey(self, rekeys: Sequence[Rekey]) -> None:
        """Give stored rows their new key columns, in the order given."""
        ...

    def existing(self, rows: pa.Table) -> Mapping[int, np.ndarray]:
        """Number of a key -> the `_row`s that have that key of a row in the table; each of them once."""
        ...

    def owners(self, key: Key, cells: Texts) -> Texts:
        """The key columns of the stored rows that have one of several values of a key. `cells`: the texts of each of
        its columns."""
        ...

    def broken_checks(self, rows: pa.Table) -> Mapping[int, str]:
        """`_row` -> a check constraint that the row would break: its name and condition, in the words of a message."""
        ...

    def hold_parents(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        """Keep the rows that these values refer to from being removed; gives a mask of values that refer to none."""
        ...


class RowStore(Protocol):
    """One table, for one attempt at one job. Everything may raise `StoreUnavailableError` and `LoadRefusedError`; what
    writes may raise `JobGoneError`, `LeaseLostError` and `JobCancelledError`. `connections`: how many ranges may be
    settled at a time.
    """

    connections: int

    def check_fit(self, columns: Sequence[str], mode: Mode) -> None:
        """Raise `LoadRefusedError` if the table cannot take rows with these columns."""
        ...

    def recover(self) -> None:
        """Connect again after an outage; `StoreUnavailableError` if that goes on."""
        ...

    def interrupt(self) -> None:
        """End what other threads are waiting for."""
        ...

    def committed(self) -> Mapping[Range, LoadCounts]:
        """The ranges that are in, from whatever attempt."""
        ...

    def is_empty(self) -> bool:
        """Return whether the table has no rows at all."""
        ...

    def existing(self, rows: Iterable[pa.RecordBatch]) -> Mapping[int, np.ndarray]:
        """Return, by the number of a key, the numbers of the rows whose key is in the table; each row once."""
        ...

    def compare(self, rows: Callable[[], Iterable[pa.RecordBatch]]) -> Comparison:
        """Compare the rows with the table. `rows` is called once for each pass over the file, and yields batches of
        `_row` and the file's columns."""
        ...

    def owners(self, key: Key, cells: Texts) -> Texts: ...

    def decisions(self) -> list[Decision]:
        """Return the decisions that earlier attempts stored with the job."""
        ...

    def keep_decisions(self, decisions: Sequence[Decision]) -> None:
        """Keep decisions with the job, so that a later attempt decides alike."""
        ...

    def settle(self, range_: Range, write: Callable[[BatchWriter], RangeOutcome]) -> LoadCounts:
        """Call `write` in a transaction of its own and commit what it wrote together with the range.

        `write` is called again after a deadlock or a serialization failure (SQLSTATE 40P01, 40001). Threads may settle
        different ranges at the same time.
        """
        ...

    def refused(self) -> np.ndarray:
        """The numbers of the rows that loading has rejected, from whatever attempt: int64, sorted, each once."""
        ...

    def reopened(self) -> np.ndarray:
        """The numbers of the rows that were settled again, from whatever attempt: int64, sorted, each once."""
        ...

    def settle_again(
        self,
        range_: Range,
        rows: np.ndarray,
        before: LoadCounts,
        write: Callable[[BatchWriter], RangeOutcome],
    ) -> None:
        """Call `write` for rows with these numbers of a committed range, which count as `before`, and commit their new
        outcome instead."""
        ...
