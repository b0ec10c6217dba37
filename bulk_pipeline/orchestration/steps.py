"""One job through one stage: open what the stage reads, call it, write what it gives. Knows no Dagster.

Every step but the first takes the `Staged` that the step before it left, and gives the next one.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Protocol

import numpy as np
import pyarrow as pa

from bulk_pipeline.orchestration.absences import AbsenceWriter
from bulk_pipeline.orchestration.budget import UNBOUNDED, Budget, Rejections
from bulk_pipeline.orchestration.second_chance import give_keys_back
from bulk_pipeline.orchestration.staged import FailureReader, Staged
from bulk_pipeline.orchestration.work import WorkLocation
from bulk_pipeline.schema import ColumnType, Mode, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.load import load
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.row_store import LoadCounts, RowStore
from bulk_pipeline.stages.parse.upload import Upload
from bulk_pipeline.stages.report import Reported, Reports, write_reports
from bulk_pipeline.stages.report.rejected import rejected_suffix
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.sorted_sets import union
from bulk_pipeline.stages.split import References, alike_keys, split
from bulk_pipeline.stages.split.keys import key_columns
from bulk_pipeline.stages.validate import validate

_TELL_SECONDS = 2.0


def parse_upload(
    upload: Upload,
    job_id: str,
    attempt: int,
    table: Table,
    mode: Mode,
    work: WorkLocation,
    budget: Budget = UNBOUNDED,
) -> Staged:
    """Bytes to numbered text records, the records as they stood in the file, and malformed ones as failures.

    Raises `TooManyRejectedRowsError`, as the next two steps do.
    """
    area = work.area(job_id, attempt)
    rejections, read_bytes = Rejections(budget), 0
    with (
        area.writer("records") as records,
        area.writer("raw") as raw,
        area.writer("parse_failures") as failures,
        area.writer("absences") as absences,
    ):
        absent = AbsenceWriter(absences, table, mode)
        for chunk in upload:
            records.write(chunk.records)
            raw.write(chunk.raw)
            absent.add(chunk.absent)
            read_bytes += chunk.raw.nbytes
            if chunk.failures.num_rows:
                failures.write(chunk.failures)
                rejections.raw_bytes = read_bytes / upload.rows
                if rejections.add(len(union([chunk.failures["row"].to_numpy()])), chunk.failures):
                    break
        absent.finish()
    staged = Staged(
        job_id=job_id,
        attempt=attempt,
        table_name=table.name,
        mode=mode,
        dialect=upload.dialect,
        columns=upload.columns,
        rows=upload.rows,
        good=upload.rows - rejections.rows,
        files=area.references(records, raw, failures, absences),
    )
    return rejections.check(staged)


def validate_rows(staged: Staged, work: WorkLocation, budget: Budget = UNBOUNDED) -> Staged:
    """Text records to typed rows, and the failures of single rows.

    Texts that stay as they are, and that nothing is decided by, are left where they are: `Staged.good_rows`.
    """
    texts = _mere_texts(staged.table)
    area = work.area(staged.job_id, staged.attempt)
    found = FailureReader(staged.batches(work, "parse_failures"))
    absences = staged.batches(work, "absences")
    rejections = Rejections.before(staged, work, budget)
    with area.writer("rows") as rows, area.writer("validate_failures") as failures:
        for records in staged.batches(work, "records"):
            if not records.num_rows:
                continue
            known = found.through(records["_row"][-1].as_py())
            beside = next(absences, None)
            absent = None if beside is None else beside[absence.COLUMN]
            checked = validate(records, known, staged.table, staged.mode, absent)
            rows.write(checked.rows.drop_columns([name for name in records.schema.names if name in texts]))
            if checked.failures.num_rows:
                failures.write(checked.failures)
            if known.num_rows or checked.failures.num_rows:
                bad = union([known["row"].to_numpy(), checked.failures["row"].to_numpy()])
                if rejections.add(len(bad), checked.failures):
                    break
    validated = replace(staged, files=staged.written(area, rows, failures))
    rejections.check(validated)
    rejected = validated.rejected(work, "parse_failures", "validate_failures")
    return replace(validated, good=validated.rows - len(rejected))


class KnownRows(Protocol):
    """Knows which rows of a file have a key that the table has, and says the same in every attempt at the job."""

    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        """The numbers of those of the rows (`_row` and key columns) that have one."""
        ...

    def keep(self) -> None:
        """Keep the answers with the job; to be called before any of its rows is written."""
        ...


def split_rows(
    staged: Staged, references: References, known: KnownRows, work: WorkLocation, budget: Budget = UNBOUNDED
) -> Staged:
    """Good rows apart from rejected ones, once references and the keys within the file are known."""
    area = work.area(staged.job_id, staged.attempt)
    rejected = staged.rejected(work, "parse_failures", "validate_failures")
    rows = partial(staged.batches, work, "rows")
    good, rejections = 0, Rejections.before(staged, work, budget)
    with area.writer("split_failures") as failures, area.writer("winners") as winners:
        for part in split(rows, rejected, staged.table, staged.mode, references, known.existing, area.folder):
            good += int((~part.failed).sum())
            if part.failures.num_rows:
                failures.write(part.failures)
            if len(part.winners):
                winners.write(pa.record_batch({"row": part.winners}))
            if rejections.add(int(part.failed.sum()), part.failures):
                break
    done = rejections.check(replace(staged, files=staged.written(area, failures, winners), good=good))
    known.keep()
    return done


def warning_of_keys(staged: Staged, work: WorkLocation) -> str | None:
    """A warning about keys that differ only in case or Unicode form; None if there are none."""
    folder = work.area(staged.job_id, staged.attempt).folder
    return alike_keys(partial(staged.batches, work, "rows"), staged.table, folder)


def load_rows(
    staged: Staged,
    work: WorkLocation,
    store: RowStore,
    known: KnownRows,
    ids: IdMaker,
    tell: Callable[[str], None],
) -> Staged:
    """Good rows into the table, telling every few seconds how far it is; then those to which they leave their keys."""
    assert staged.batch_rows is not None
    counts = load(
        lambda: staged.good_rows(work),
        total_rows=staged.rows,
        batch_rows=staged.batch_rows,
        table=staged.table,
        mode=staged.mode,
        columns=staged.columns,
        store=store,
        ids=ids,
        progress=_Progress(staged.rows, tell),
    )
    if not staged.mode.updates_rows and staged.rows - counts.rejected < staged.good:
        staged = give_keys_back(staged, work, store, known.existing, ids)
        counts = sum(store.committed().values(), LoadCounts())
    return replace(staged, good=staged.rows - counts.rejected)


def write_job_reports(
    staged: Staged,
    failures: Sequence[Iterable[pa.RecordBatch]],
    open_report: Callable[[str], AbstractContextManager[Sink]],
    work: WorkLocation,
) -> tuple[Reported, tuple[str, ...]]:
    """The reports of a job, and the names of those that there are: all three, or none if there is nothing to report.

    `failures`: what each stage has found, sorted by row. `open_report`: where the report of that name goes, if
    anything is written to it.
    """
    names = ("errors.csv", "errors.ndjson", f"rejected{rejected_suffix(staged.dialect)}")
    with ExitStack() as stack:
        reports = Reports(*(stack.enter_context(open_report(name)) for name in names))
        reported = write_reports(failures, staged.batches(work, "raw"), staged.table, staged.dialect, reports)
    return reported, names if reported.failures else ()


def _mere_texts(table: Table) -> set[str]:
    """The columns whose cells validation gives as they come, and `split` does not look at."""
    decisive = {*key_columns(table), *(key.column for key in table.foreign_keys)}
    texts = (column for column in table.columns if column.type is ColumnType.TEXT and column.default is None)
    return {column.name for column in texts} - decisive


class _Progress:
    """Tells of a load in percent, every few seconds and at its end."""

    def __init__(self, total: int, tell: Callable[[str], None]) -> None:
        self._total = total
        self._tell = tell
        self._told_at = monotonic()

    def __call__(self, counts: LoadCounts) -> None:
        if counts.settled == self._total or monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = monotonic()
            self._tell(
                f"{counts.settled / self._total:.0%} loaded: {counts.settled:,} of {self._total:,} rows, "
                f"{counts.rejected:,} of them rejected"
            )
