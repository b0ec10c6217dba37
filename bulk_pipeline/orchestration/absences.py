"""Which columns are absent from the rows of a job, as a work file, if that is worth one."""

import numpy as np
import pyarrow as pa

from bulk_pipeline.orchestration.work import BatchWriter
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages import absence


class AbsenceWriter:
    """Writes a batch beside each batch of records, with the column of `stages.absence`.

    Nothing is written for a file whose rows all have the same columns, if these are enough to insert them. As that is
    known only at the end, rows are counted until one differs.
    """

    def __init__(self, writer: BatchWriter, table: Table, mode: Mode) -> None:
        self._writer = writer
        self._table = table
        self._mode = mode
        self._alike = b""
        self._waiting: list[int] = []
        self._differ = False

    def add(self, absent: pa.Array | None) -> None:
        """The cells of some records, in file order."""
        if absent is None or not len(absent):
            return
        octets = absence.octets(absent)
        if not self._alike:
            self._alike = octets[0].tobytes()
        if not self._differ and bool((octets == np.frombuffer(self._alike, np.uint8)).all()):
            self._waiting.append(len(absent))
            return
        self._write_waiting()
        self._differ = True
        self._write(absent)

    def finish(self) -> None:
        if not self._alike or self._differ:
            return
        required = self._table.required_columns(self._mode)
        lacking = absence.absent(pa.table({absence.COLUMN: self._cells(1)}), self._table)
        if lacking.keys() & {*required}:
            self._write_waiting()

    def _write_waiting(self) -> None:
        for rows in self._waiting:
            self._write(self._cells(rows))
        self._waiting.clear()

    def _cells(self, rows: int) -> pa.Array:
        return pa.array([self._alike], pa.binary(len(self._alike))).take(pa.array(np.zeros(rows, np.int64)))

    def _write(self, cells: pa.Array) -> None:
        self._writer.write(pa.RecordBatch.from_arrays([cells], names=[absence.COLUMN]))
