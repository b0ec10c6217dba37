"""Repeated keys of a file are found in memory or on disk."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.split.keys import fingerprints, repeated

texts = st.lists(st.lists(st.one_of(st.none(), st.integers(0, 12).map(str)), max_size=8), max_size=6)


def column(cells: list[str | None]) -> pa.Array:
    return pa.array(cells, pa.string())


@given(columns=texts, in_memory=st.integers(1, 9))
def test_it_is_the_same_on_disk_as_in_memory_and_as_counted(
    columns: list[list[str | None]], in_memory: int
) -> None:
    counts = Counter(text for cells in columns for text in cells if text is not None)
    again = column([text for text, count in counts.items() if count > 1])
    result = repeated(map(column, columns), in_memory=in_memory)
    assert result.tolist() == sorted(fingerprints(again).tolist())


def test_the_smallest_and_the_greatest_value_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = np.iinfo(np.int64)
    values = [limits.max, limits.min, -1, 1, limits.min, limits.max, -1]
    monkeypatch.setattr(
        "bulk_pipeline.stages.split.keys.fingerprints", lambda cells: np.array(cells.to_pylist(), np.int64)
    )
    result = repeated([pa.array(values)], in_memory=2)
    assert result.tolist() == [limits.min, -1, limits.max]


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    result = repeated([column(["a", "b", "a"])] * 3, folder=tmp_path, in_memory=2)
    assert len(result) == 2
    assert list(tmp_path.iterdir()) == []
