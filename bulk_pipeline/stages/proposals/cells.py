"""The different cells of a column of a file, with the row of the first cell of each."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import without
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Column, ColumnType, UploadFormat
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.validate.notation import notation_of

_SHOWN_LENGTH = 40


@dataclass(frozen=True)
class Cells:
    """The different texts of a column, none of them empty, in the order of the `rows` of their first cells."""

    column: Column
    texts: pa.Array
    rows: pa.Array

    def quoted(self, at: int) -> str:
        """Return a text in quotes, shortened and on one line, with its row."""
        text = printable(self.texts[at].as_py())
        short = text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
        return f"'{short}' (row {self.rows[at].as_py()})"

    def shown(self, at: int) -> str:
        return f"{self.column.name} {self.quoted(at)}"

    def first(self, count: int) -> "Cells":
        return Cells(self.column, self.texts[:count], self.rows[:count])

    def only(self, rows: np.ndarray) -> "Cells":
        """Return the cells for which the mask is true."""
        kept = pa.array(rows)
        return Cells(self.column, self.texts.filter(kept), self.rows.filter(kept))

    def as_type(self, type_: ColumnType) -> "Cells":
        """Return the same texts as cells of a column of another type."""
        return replace(self, column=Column(name=self.column.name, type=type_))

    def read(self, format_: UploadFormat) -> pa.Array:
        """Return what the cells mean in a notation, as texts; NULL where they are nothing in it."""
        notation = notation_of(self.column, format_)
        texts = self.texts
        if notation is not None:
            cells = notation.read(texts)
            texts = without(cells.texts, cells.unread)
        typed = codec_of(self.column).from_text(self.column, texts)
        wrong = typed.problems.get("type", np.zeros(len(texts), bool))
        values = codec_of(self.column).canonical(self.column, typed.values)
        # A number that is too precise or too large is one, and so is a date out of range.
        return pc.if_else(pa.array(wrong), None, pc.coalesce(values, texts))


def different(column: Column, texts: pa.ChunkedArray, rows: pa.ChunkedArray) -> Cells:
    """Return the different cells of a column. Memory grows with their number."""
    firsts = (
        pa.table({"text": texts, "row": rows}).group_by("text", use_threads=False).aggregate([("row", "min")])
    )
    firsts = firsts.filter(pc.not_equal(firsts["text"], "")).sort_by("row_min").combine_chunks()
    whole = [firsts[name].combine_chunks() for name in ("text", "row_min")]
    return Cells(column, *whole)
