"""Rows cut into files."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.export.parts import Part, write_parts
from bulk_pipeline_tests.unit.stages.export.rows import batch, layout

ASKED = layout(Format.CSV, "name")


class Folder:
    """Files that were closed without an exception."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[io.BytesIO]:
        out = io.BytesIO()
        yield out
        self.files[name] = out.getvalue()


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    number = 0
    for size in sizes:
        yield batch(ASKED.columns, *({"name": str(number + i)} for i in range(size)))
        number += size


@pytest.mark.parametrize(
    ("sizes", "rows_per_part", "rows"),
    [
        ((), 5, []),
        ((0, 0), 5, []),
        ((3,), 5, [3]),
        ((5,), 5, [5]),
        ((6,), 5, [5, 1]),
        ((3, 0, 3, 9), 5, [5, 5, 5]),
        ((17,), 5, [5, 5, 5, 2]),
        ((1, 1, 1), 1, [1, 1, 1]),
    ],
)
def test_every_part_except_the_last_has_the_given_number_of_rows(
    sizes: tuple[int, ...], rows_per_part: int, rows: list[int]
) -> None:
    folder, progress = Folder(), list[tuple[int, int]]()
    parts = write_parts(
        batches(*sizes), ASKED, rows_per_part, folder.open, lambda r, b: progress.append((r, b))
    )
    assert [part.rows for part in parts] == rows
    assert (
        [part.name for part in parts] == [f"part-{i:05}.csv" for i in range(len(rows))] == list(folder.files)
    )
    for part in parts:
        content = folder.files[part.name]
        assert part == Part(part.name, part.rows, len(content), hashlib.sha256(content).hexdigest())
    lines = [line for content in folder.files.values() for line in content.decode().splitlines()[1:]]
    assert lines == [f'"{number}"' for number in range(sum(sizes))]
    assert progress == sorted(progress)
    assert (progress or [(0, 0)])[-1] == (sum(sizes), sum(part.bytes for part in parts))


def test_an_error_of_progress_ends_the_export_without_a_partial_file() -> None:
    folder = Folder()

    def stop(rows: int, size: int) -> None:
        if rows > 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_parts(batches(3, 3, 3), ASKED, 5, folder.open, stop)
    assert list(folder.files) == ["part-00000.csv"]
