"""Random numbers as a pure function of (seed, table, purpose, row): the same on every machine, in any order.

Integers only: 64 bits by SplitMix64 (Steele, Lea, Flood 2014), which NumPy computes for whole columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.bytes import uuid_texts

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_FIRST_MS = 1_735_689_600_000  # 2025-01-01, the time of the first id


@dataclass(frozen=True)
class Rows:
    """Rows of the sample of one table. A row depends on its `index` (uint64)."""

    seed: int
    table: str
    index: np.ndarray

    def draw(self, purpose: str) -> np.ndarray:
        """Return one uint64 per row."""
        key = blake2b(f"{self.seed}/{self.table}/{purpose}".encode(), digest_size=8).digest()
        bits = np.uint64(int.from_bytes(key)) + (self.index + np.uint64(1)) * _GAMMA
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
        return bits ^ (bits >> np.uint64(31))

    def below(self, limit: int, purpose: str) -> np.ndarray:
        """Return one int64 in 0 … limit - 1 per row."""
        return (self.draw(purpose) % np.uint64(limit)).astype(np.int64)

    def pick(self, choices: Sequence[str | None], purpose: str) -> pa.Array:
        """Return one of `choices` per row."""
        places = pa.array(self.below(len(choices), purpose))
        return pa.array(choices, pa.string()).take(places)

    def chance(self, percent: int, purpose: str) -> np.ndarray:
        """Return a mask that is true for about that share of the rows."""
        return self.below(100, purpose) < percent


def uuids(rows: Rows) -> pa.Array:
    """Return the ids of the rows: UUID version 7, a millisecond apart (RFC 9562, section 5.7)."""
    high = (np.uint64(_FIRST_MS) + rows.index) << np.uint64(16)
    high |= np.uint64(0x7000) | (rows.draw("id high") & np.uint64(0x0FFF))
    low = np.uint64(0x8000_0000_0000_0000) | (rows.draw("id low") & np.uint64(0x3FFF_FFFF_FFFF_FFFF))
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(len(rows.index), 16)
    return uuid_texts(octets)
