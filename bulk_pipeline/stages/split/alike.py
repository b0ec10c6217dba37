"""Counts keys of a file that differ only in case or Unicode form: different rows to the table, hardly to people.

Two keys can be alike only if one of them is not in lower case or not ASCII; where none is, nothing more is looked at.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.row_sets import positions, union
from bulk_pipeline.schema import Table
from bulk_pipeline.stages.split.checks import Batches
from bulk_pipeline.stages.split.keys import fingerprints, repeated

_SHOWN_LENGTH = 60


def alike_keys(batches: Batches, table: Table, folder: Path | None = None) -> str | None:
    """Return a warning about keys of one text column that differ from an earlier one only in this way, or None.

    `folder`: for keys of a file with very many.
    """
    keys = (key.columns for key in table.keys if len(key.columns) == 1)
    names = (name for (name,) in keys if table.column(name).type.facts.is_text)
    warnings = (_alike(batches, name, folder) for name in names)
    return next((warning for warning in warnings if warning is not None), None)


def _alike(batches: Batches, name: str, folder: Path | None) -> str | None:
    if all(_is_folded(keys) for _, keys in _keys(batches(), name)):
        return None
    again = repeated((_folded(keys) for _, keys in _keys(batches(), name)), folder=folder)
    if not len(again):
        return None
    first, first_key = np.zeros(len(again), np.int64), dict[int, tuple[str, int]]()
    others: list[np.ndarray] = []
    example = ""
    for rows, keys in _keys(batches(), name):
        found, at = positions(fingerprints(_folded(keys)), again)
        places = np.flatnonzero(found)
        own, at = fingerprints(keys)[places], at[places]
        new, begins = np.unique(at, return_index=True)
        is_new = first[new] == 0
        for place, begin in zip(new[is_new].tolist(), begins[is_new].tolist(), strict=True):
            first[place] = own[begin]
            if not example and len(first_key) < 10_000:
                index = int(places[begin])
                first_key[place] = (str(keys[index].as_py()), int(rows[index].as_py()))
        differs = own != first[at]
        others.append(union([own[differs]]))
        if differs.any() and not example:
            which = int(np.argmax(differs))
            index, before = int(places[which]), first_key.get(int(at[which]))
            if before is not None:
                later = str(keys[index].as_py())
                example = (
                    f": '{later[:_SHOWN_LENGTH]}' (row {rows[index].as_py()}) and "
                    f"'{before[0][:_SHOWN_LENGTH]}' (row {before[1]})"
                )
    count = len(union(others))
    if not count:
        return None
    differ = f"1 {name} differs" if count == 1 else f"{count:,} values of {name} differ"
    return f"{differ} from another only in case or Unicode form{example}: they are different rows"


def _keys(batches: Iterable[pa.RecordBatch], name: str) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The numbers and keys of rows that have one."""
    for batch in batches:
        if name in batch.schema.names:
            has_key = pc.is_valid(batch[name])
            yield batch["_row"].filter(has_key), batch[name].filter(has_key)


def _is_folded(keys: pa.Array) -> bool:
    octets = text_bytes(keys)
    return not ((octets >= 0x80) | ((octets >= ord("A")) & (octets <= ord("Z")))).any()


def _folded(keys: pa.Array) -> pa.Array:
    if _is_folded(keys):
        return keys
    if (text_bytes(keys) < 0x80).all():
        return pc.ascii_lower(keys)
    return pc.utf8_lower(pc.utf8_normalize(keys, "NFKC"))
