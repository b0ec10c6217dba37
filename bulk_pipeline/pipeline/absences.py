"""Writes the absent columns of a job's rows to a work file, if rows differ in their columns."""

import numpy as np
import pyarrow as pa

from bulk_pipeline.pipeline.work_files import BatchWriter
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages import absence


class AbsenceWriter:
    """Writes a batch with the column of `stages.absence` for each batch of records.

    If all rows have the same columns, and these include the required ones, no file is written. Rows are only counted
    until the first one differs.
    """

    def __init__(self, writer: BatchWriter, table: Table, mode: Mode) -> None:
        self._writer = writer
        self._table = table
        self._mode = mode
        self._alike = b""
        self._pending: list[int] = []
        self._differ = False

    def add(self, absent: pa.Array | None) -> None:
        """Add the cells of the next records, in file order."""
        if absent is None or not len(absent):
            return
        octets = absence.octets(absent)
        if not self._alike:
            self._alike = octets[0].tobytes()
        if not self._differ and bool((octets == np.frombuffer(self._alike, np.uint8)).all()):
            self._pending.append(len(absent))
            return
        self._write_pending()
        self._differ = True
        self._write(absent)

    def finish(self) -> None:
        if not self._alike or self._differ:
            return
        required = self._table.required_columns(self._mode)
        lacking = absence.absent(pa.table({absence.COLUMN: self._cells(1)}), self._table)
        if lacking.keys() & {*required}:
            self._write_pending()

    def _write_pending(self) -> None:
        for rows in self._pending:
            self._write(self._cells(rows))
        self._pending.clear()

    def _cells(self, rows: int) -> pa.Array:
        return pa.array([self._alike], pa.binary(len(self._alike))).take(pa.array(np.zeros(rows, np.int64)))

    def _write(self, cells: pa.Array) -> None:
        self._writer.write(pa.RecordBatch.from_arrays([cells], names=[absence.COLUMN]))
