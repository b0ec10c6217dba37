"""Who had a key first: the claims that the rows of a file make on their keys, in file order (insert_only)."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import positions
from bulk_pipeline.schema import Key, Table
from bulk_pipeline.stages import key_cells
from bulk_pipeline.stages.split.keys import confirmations, fingerprints

Stored = Callable[[pa.RecordBatch], np.ndarray]
"""Gives the numbers of those of the rows (`_row` and key columns) that have a key of a row in the table."""


def nothing_stored(rows: pa.RecordBatch) -> np.ndarray:
    """The answer of a table without rows."""
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class LostClaims:
    """Positions of rows whose `key` an earlier row has claimed, and the numbers of those rows."""

    key: Key
    positions: np.ndarray
    winners: np.ndarray


class Claims:
    """The claims of one file. `repeated`: for each key, the fingerprints that occur more than once.

    `stored` is asked about the rows that have such a fingerprint only.
    """

    def __init__(self, table: Table, repeated: Mapping[Key, np.ndarray], stored: Stored) -> None:
        self._table = table
        self._ledgers = {key: _Ledger(prints) for key, prints in repeated.items() if len(prints)}
        self._stored = stored

    def make(self, rows: pa.RecordBatch, failed: np.ndarray) -> Iterator[LostClaims]:
        """Let the rows claim their keys in file order, and yield the lost claims by key. These rows claim nothing: rows
        that lose a key, rows whose key is in the table (loading will reject them), and rows in `failed`, which cannot
        lose either."""
        keys = key_cells.key_rows(rows, self._table)
        cells = {key: key_cells.cells(keys, self._table, key) for key in self._ledgers}
        watched = {key: ledger.watched(cells[key]) for key, ledger in self._ledgers.items()}
        repeats = np.logical_or.reduce([found for found, _ in watched.values()] or [[]])
        suspects = np.flatnonzero(repeats & ~failed if watched else repeats)
        if not len(suspects):
            return
        claims = [
            self._ledgers[key].claims(cells[key], suspects, found[suspects], at[suspects])
            for key, (found, at) in watched.items()
        ]
        numbers = rows["_row"].to_numpy()[suspects]
        is_stored = np.isin(numbers, self._stored(keys.take(pa.array(suspects))))
        for turn, (row, exists) in enumerate(zip(numbers.tolist(), is_stored.tolist(), strict=True)):
            beaten = [claim.is_beaten(turn) for claim in claims]
            if not exists and not any(beaten):
                for claim in claims:
                    claim.win(turn, row)
        for key, claim in zip(watched, claims, strict=True):
            yield LostClaims(key, suspects[claim.lost], np.array(claim.winners, np.int64))


class _Ledger:
    """Of one key: who claimed each repeated fingerprint, and what confirms the key. 16 bytes for each."""

    def __init__(self, repeated: np.ndarray) -> None:
        self._repeated = repeated
        self.winner = array("q", bytes(8 * len(repeated)))
        self.confirmed = array("q", bytes(8 * len(repeated)))

    def watched(self, cells: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        return positions(fingerprints(cells), self._repeated)

    def claims(
        self, cells: pa.Array, suspects: np.ndarray, found: np.ndarray, at: np.ndarray
    ) -> "_BatchClaims":
        confirmed = confirmations(cells.take(pa.array(suspects)))
        places = np.where(found, at, -1)
        return _BatchClaims(self, places.tolist(), confirmed.tolist())


class _BatchClaims:
    """The suspects of one batch, by turn. `places`: in the ledger, -1 for a key without repetition."""

    def __init__(self, ledger: _Ledger, places: list[int], confirmed: list[int]) -> None:
        self._ledger = ledger
        self._places = places
        self._confirmed = confirmed
        self.lost: list[int] = []
        self.winners: list[int] = []

    def is_beaten(self, turn: int) -> bool:
        place = self._places[turn]
        if place < 0 or not (winner := self._ledger.winner[place]):
            return False
        if self._ledger.confirmed[place] != self._confirmed[turn]:
            return False
        self.lost.append(turn)
        self.winners.append(winner)
        return True

    def win(self, turn: int, row: int) -> None:
        place = self._places[turn]
        if place >= 0 and not self._ledger.winner[place]:
            self._ledger.winner[place] = row
            self._ledger.confirmed[place] = self._confirmed[turn]
