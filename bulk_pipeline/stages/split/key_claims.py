"""Who had a key first: the claims that the rows of a file make on their keys, in file order (insert_only)."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.sorted_sets import positions
from bulk_pipeline.stages.split.keys import confirmations, fingerprints

Stored = Callable[[pa.RecordBatch], np.ndarray]
"""Gives the numbers of those of the rows (`_row` and key columns) that have a key of a row in the table."""


def nothing_stored(rows: pa.RecordBatch) -> np.ndarray:
    """The answer of a table without rows."""
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Losers:
    """Positions of rows whose cell in `column` an earlier row has claimed, and the numbers of those rows."""

    column: str
    positions: np.ndarray
    winners: np.ndarray


class Claims:
    """The claims of one file. `repeated`: for each key column, the fingerprints that occur more than once.

    `stored` is asked about the rows that have such a fingerprint only.
    """

    def __init__(self, repeated: Mapping[str, np.ndarray], stored: Stored) -> None:
        self._ledgers = {name: _Ledger(prints) for name, prints in repeated.items() if len(prints)}
        self._keys = tuple(repeated)
        self._stored = stored

    def make(self, rows: pa.RecordBatch, failed: np.ndarray) -> Iterator[Losers]:
        """Let the rows claim their keys in turn. Losers claim nothing, and neither do rows that `failed`, which lose
        nothing either, nor rows with a key that is in the table: loading will reject them."""
        watched = {name: ledger.watched(rows[name]) for name, ledger in self._ledgers.items()}
        repeats = np.logical_or.reduce([found for found, _ in watched.values()] or [[]])
        suspects = np.flatnonzero(repeats & ~failed if watched else repeats)
        if not len(suspects):
            return
        claims = [
            self._ledgers[name].claims(rows[name], suspects, found[suspects], at[suspects])
            for name, (found, at) in watched.items()
        ]
        numbers = rows["_row"].to_numpy()[suspects]
        keys = rows.select(["_row", *(name for name in self._keys if name in rows.schema.names)])
        is_stored = np.isin(numbers, self._stored(keys.take(pa.array(suspects))))
        for turn, (row, exists) in enumerate(zip(numbers.tolist(), is_stored.tolist(), strict=True)):
            beaten = [claim.is_beaten(turn) for claim in claims]
            if not exists and not any(beaten):
                for claim in claims:
                    claim.win(turn, row)
        for name, claim in zip(watched, claims, strict=True):
            yield Losers(name, suspects[claim.lost], np.array(claim.winners, np.int64))


class _Ledger:
    """Of one column: who claimed each repeated fingerprint, and what confirms the key. 16 bytes for each."""

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
