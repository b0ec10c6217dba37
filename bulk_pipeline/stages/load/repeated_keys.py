"""Rows of an upsert whose keys are repeated in the file: which are just overwritten, which are tangled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import positions, union
from bulk_pipeline.schema import Key, Table
from bulk_pipeline.stages.key_cells import cells, has_partial_keys, keys_in
from bulk_pipeline.stages.load.absent_cells import unsaid_by_row
from bulk_pipeline.stages.split.keys import confirmations, fingerprints, repeated


@dataclass(frozen=True)
class Repeats:
    """Int64 arrays of row numbers.

    `overwritten`, sorted: a later row has the same keys, and no other row has one of them. `by`: the next such row of
    each. `tangled`, sorted: rows that share one key with a row with which they do not share all.
    """

    overwritten: np.ndarray
    by: np.ndarray
    tangled: np.ndarray


def find_repeats(batches: Callable[[], Iterable[pa.RecordBatch]], table: Table) -> Repeats:
    """Look through the whole file. Rows with the same keys are tangled too if they leave different columns unsaid,
    because the later one inherits cells of the earlier one. If any row has only some columns of a key, all rows of the
    file are tangled, because its key is known only together with the stored row.
    """
    first = next(iter(batches()), None)
    keys = [key for _, key in keys_in(table, first.schema.names)] if first is not None else []
    none = np.empty(0, np.int64)
    if has_partial_keys(batches(), table):
        return Repeats(none, none, union(rows["_row"].to_numpy() for rows in batches()))
    watched = {key: repeated(cells(rows, table, key) for rows in batches()) for key in keys}
    if not any(len(prints) for prints in watched.values()):
        return Repeats(none, none, none)
    suspects = [_suspects(rows, watched, table) for rows in batches()]
    numbers = np.concatenate([rows for rows, _, _ in suspects])
    prints = {key: np.concatenate([found[key] for _, found, _ in suspects]) for key in keys}
    silences = [silent for _, _, unsaid in suspects for silent in unsaid]
    return _sorted_out(numbers, prints, _numbered(silences), watched)


def _suspects(
    rows: pa.RecordBatch, watched: dict[Key, np.ndarray], table: Table
) -> tuple[np.ndarray, dict[Key, np.ndarray], Sequence[frozenset[str]]]:
    """Row numbers, key fingerprints (two columns for each key) and the columns left unsaid, of the rows that have
    a repeated key.
    """
    keys = {key: cells(rows, table, key) for key in watched}
    prints = {key: fingerprints(keys[key]) for key in watched}
    found = np.logical_or.reduce([positions(prints[key], among)[0] for key, among in watched.items()])
    at = pa.array(np.flatnonzero(found))
    picked = rows.take(at)
    both = {key: np.stack([prints[key][found], confirmations(keys[key].take(at))], axis=1) for key in watched}
    return picked["_row"].to_numpy(), both, unsaid_by_row(picked, table)


def _sorted_out(
    numbers: np.ndarray, prints: dict[Key, np.ndarray], unsaid: np.ndarray, watched: dict[Key, np.ndarray]
) -> Repeats:
    together = _groups(np.concatenate([*prints.values()], axis=1))
    alike = _sizes(together)
    simple = _sizes(_groups(np.stack([together, unsaid], axis=1))) == alike
    for key in watched:
        first = prints[key][:, 0]
        simple &= (first == 0) | (_sizes(_groups(first[:, None])) == alike)
    order = np.argsort(together, kind="stable")
    after = np.full(len(numbers), -1, np.int64)
    after[order[:-1]] = np.where(together[order[1:]] == together[order[:-1]], numbers[order[1:]], -1)
    overwritten = simple & (after >= 0)
    return Repeats(overwritten=numbers[overwritten], by=after[overwritten], tangled=numbers[~simple])


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
