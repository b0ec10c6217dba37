"""The records of a whole file, written to a temporary file and read again a column at a time."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import Column
from bulk_pipeline.stages.parse import Upload
from bulk_pipeline.stages.parse.parsed import STORED
from bulk_pipeline.stages.proposals.cells import different
from bulk_pipeline.stages.proposals.types import ColumnCells, Notation

_ROW = "_row"
_ADDED = (_ROW, "_line", STORED)
"""Columns that the parser adds to those of a file."""


class Records:
    """The rows of a file and its columns, named as in the file. Records that the parser rejects are not among them."""

    def __init__(self, batches: list[pa.RecordBatch], folder: Path, *, has_notation: bool) -> None:
        self.rows = sum(batch.num_rows for batch in batches)
        self.names = tuple(
            dict.fromkeys(name for batch in batches for name in batch.schema.names if name not in _ADDED)
        )
        self._batches, self._folder, self._has_notation = batches, folder, has_notation

    @classmethod
    def of(cls, upload: Upload, folder: Path) -> Self:
        """Return the records of an upload that is opened with `MARKED`: it is read to its end, into files of the
        folder. Raises `FileError` for a file that cannot be read, or has two columns of one name."""
        batches = list[pa.RecordBatch]()
        for number, chunk in enumerate(upload):
            _refuse_twice(chunk.records.schema.names)
            batches.append(_on_disk(chunk.records, folder / f"{number}.arrow"))
        return cls(batches, folder, has_notation=upload.declared.has_notation)

    def column(self, name: str) -> ColumnCells:
        """Return a column, with the notation of its cells."""
        found = different(Column(name=name), self.texts(name), self._column(_ROW, pa.int64()))
        path = self._folder / f"column_{self.names.index(name)}.arrow"
        batch = _on_disk(pa.RecordBatch.from_arrays([found.texts, found.rows], ["text", "row"]), path)
        cells = replace(found, texts=batch["text"], rows=batch["row"])
        if not self._has_notation:
            return ColumnCells(cells, Notation.OF_THE_FORMAT)
        stored, written = self._stored(name)
        if not stored:
            return ColumnCells(cells, Notation.DECLARED)
        return ColumnCells(cells, Notation.MIXED if written else Notation.OF_THE_FORMAT)

    def texts(self, name: str) -> pa.ChunkedArray:
        """Return the cells of a column."""
        return self._column(name, pa.string())

    def _column(self, name: str, type_: pa.DataType) -> pa.ChunkedArray:
        """Return a column; NULL in batches without it, as a JSON document may have records without a key."""
        parts = [
            batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, type_)
            for batch in self._batches
        ]
        return pa.chunked_array(parts, type_)

    def _stored(self, name: str) -> tuple[int, int]:
        """Return how many cells of a column a workbook stores as values, and how many as texts."""
        stored = written = 0
        for batch in self._batches:
            if STORED in batch.schema.names:
                marks, cells = mask(pc.struct_field(batch[STORED], name)), mask(batch[name].is_valid())
                stored, written = stored + int((marks & cells).sum()), written + int((~marks & cells).sum())
        return stored, written


def _refuse_twice(names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if name and count > 1), None)
    if twice is not None:
        raise FileError(
            FileErrorCode.DUPLICATE_HEADER,
            f"the header names {twice!r} twice: give each column a name of its own",
        )


def _on_disk(batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
    """Return the batch backed by a file instead of memory."""
    with ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    with pa.memory_map(str(path)) as file:
        return ipc.open_file(file).get_batch(0)
