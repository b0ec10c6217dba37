"""Rows of an upsert whose keys are repeated in the file: which are just overwritten, which are tangled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.load.unsaid import unsaid_by_row
from bulk_pipeline.stages.sorted_sets import positions
from bulk_pipeline.stages.split.keys import confirmations, fingerprints, key_columns, repeated


@dataclass(frozen=True)
class Repeats:
    """Two sorted int64 arrays of row numbers.

    `overwritten`: a later row has the same id and the same natural key, and nobody else has either.
    `tangled`: rows that share one key with a row with which they do not share the other.
    """

    overwritten: np.ndarray
    tangled: np.ndarray


def find_repeats(batches: Callable[[], Iterable[pa.RecordBatch]], table: Table) -> Repeats:
    """Look through the whole file. Rows that repeat a key but do not leave the same columns unsaid count as
    tangled too: the later one keeps what the earlier one has said.
    """
    keys = [name for name in key_columns(table) if _has(batches, name)]
    watched = {name: repeated(rows[name] for rows in batches()) for name in keys}
    if not any(len(prints) for prints in watched.values()):
        return Repeats(np.empty(0, np.int64), np.empty(0, np.int64))
    suspects = [_suspects(rows, watched, table) for rows in batches()]
    numbers = np.concatenate([rows for rows, _, _ in suspects])
    prints = {name: np.concatenate([found[name] for _, found, _ in suspects]) for name in keys}
    silences = [silent for _, _, unsaid in suspects for silent in unsaid]
    return _sorted_out(numbers, prints, _numbered(silences), watched)


def _has(batches: Callable[[], Iterable[pa.RecordBatch]], name: str) -> bool:
    first = next(iter(batches()), None)
    return first is not None and name in first.schema.names


def _suspects(
    rows: pa.RecordBatch, watched: dict[str, np.ndarray], table: Table
) -> tuple[np.ndarray, dict[str, np.ndarray], Sequence[frozenset[str]]]:
    """Row numbers, key fingerprints (two columns for each key) and the columns left unsaid, of the rows that have
    a repeated key.
    """
    prints = {name: fingerprints(rows[name]) for name in watched}
    found = np.logical_or.reduce([positions(prints[name], among)[0] for name, among in watched.items()])
    at = np.flatnonzero(found)
    picked = rows.take(pa.array(at))
    both = {name: np.stack([prints[name][at], confirmations(picked[name])], axis=1) for name in watched}
    return picked["_row"].to_numpy(), both, unsaid_by_row(picked, table)


def _sorted_out(
    numbers: np.ndarray, prints: dict[str, np.ndarray], unsaid: np.ndarray, watched: dict[str, np.ndarray]
) -> Repeats:
    together = _groups(np.concatenate([*prints.values()], axis=1))
    alike = _sizes(together)
    simple = _sizes(_groups(np.stack([together, unsaid], axis=1))) == alike
    for name in watched:
        first = prints[name][:, 0]
        simple &= (first == 0) | (_sizes(_groups(first[:, None])) == alike)
    last = np.zeros(len(numbers), bool)
    last[len(numbers) - 1 - np.unique(together[::-1], return_index=True)[1]] = True
    return Repeats(overwritten=numbers[simple & ~last], tangled=numbers[~simple])


def _numbered(silences: Sequence[frozenset[str]]) -> np.ndarray:
    """For each row a number that rows which leave the same columns unsaid share."""
    numbers = {silent: number for number, silent in enumerate(set(silences))}
    return np.array([numbers[silent] for silent in silences], np.int64)


def _groups(columns: np.ndarray) -> np.ndarray:
    """For each row a number that equal rows share."""
    order = np.lexsort(columns.T)
    ordered = columns[order]
    starts = np.concatenate([[False], (ordered[1:] != ordered[:-1]).any(axis=1)])
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(starts)
    return groups


def _sizes(groups: np.ndarray) -> np.ndarray:
    """For each row how many rows are in its group."""
    return np.bincount(groups)[groups]
