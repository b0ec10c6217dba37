"""The steps of an import. Each opens the input of a stage, calls the stage, and writes its output; no Dagster.

Each step except the first takes the `ImportState` of the previous step, and returns the next one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import union
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.pipeline.absences import AbsenceWriter
from bulk_pipeline.pipeline.budget import UNBOUNDED, Budget, Rejections
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, FailureReader, ImportState
from bulk_pipeline.pipeline.progress import Progress
from bulk_pipeline.pipeline.second_chance import give_keys_back
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import NO_FORMS, KeyForm, Mode, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load import LoadContext, load
from bulk_pipeline.stages.load.row_store import RowStore
from bulk_pipeline.stages.origins import Corrections, Origins, found_origins
from bulk_pipeline.stages.parse.parsed import ParsedChunk
from bulk_pipeline.stages.parse.upload import Upload
from bulk_pipeline.stages.report import (
    RejectedWorkbook,
    Reports,
    ReportSummary,
    write_reports,
)
from bulk_pipeline.stages.report.rejected import rejected_suffix
from bulk_pipeline.stages.report_names import ERRORS_CSV, ERRORS_NDJSON, WORKBOOK
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.split import References, alike_keys, split
from bulk_pipeline.stages.split.failure_messages import in_row_order
from bulk_pipeline.stages.validate import validate
from bulk_pipeline.stages.validate.server_types import ServerTypes
from bulk_pipeline.stages.validate.spreadsheet_damage import shortened_in_corrections


def parse_upload(
    upload: Upload,
    job_id: str,
    attempt: int,
    table: Table,
    mode: Mode,
    work: WorkLocation,
    budget: Budget = UNBOUNDED,
) -> ImportState:
    """Parse the bytes of an upload into numbered text records, the raw records, and failures of malformed ones.

    Raises `TooManyRejectedRowsError`, as do the next two steps.
    """
    area = work.area(job_id, attempt)
    table, rejections = table.matching(upload.declared), Rejections(budget)
    with (
        area.writer("records") as records,
        area.writer("raw") as raw,
        area.writer("parse_failures") as failures,
        area.writer("absences") as absences,
        area.writer("origins") as origins,
    ):
        absent = AbsenceWriter(absences, table, mode)
        for chunk in upload:
            if upload.has_origins and (found := found_origins(chunk.raw)).num_rows:
                origins.write(found)
                chunk = _without_damage(chunk, found["row"], table)
            records.write(chunk.records)
            raw.write(chunk.raw)
            absent.add(chunk.absent)
            if chunk.failures.num_rows:
                failures.write(chunk.failures)
                rejections.raw = iter([chunk.raw])
                if rejections.add(union([chunk.failures["row"].to_numpy()]), chunk.failures):
                    break
        absent.finish()
    state = ImportState(
        job_id=job_id,
        attempt=attempt,
        table_name=table.upload_name,
        mode=mode,
        dialect=upload.dialect,
        columns=upload.columns,
        rows=upload.rows,
        good=upload.rows - rejections.rows,
        files=area.references(records, raw, failures, absences, origins),
        declared=upload.declared,
    )
    return rejections.check(state)


def _without_damage(chunk: ParsedChunk, corrected: pa.Array, table: Table) -> ParsedChunk:
    """Return the chunk with failures of the cells that a spreadsheet program has shortened in `corrected` rows."""
    records, damaged = shortened_in_corrections(chunk.records, corrected, table)
    failures = in_row_order([chunk.failures, damaged])
    return replace(chunk, records=records, failures=failures) if damaged.num_rows else chunk


def rows_by_origin(state: ImportState, work: WorkLocation) -> dict[str, int]:
    """Return the jobs that rejected rows of the file before, with the number of these rows."""
    return Origins.of(state.batches(work, "origins")).counts() if state.files["origins"] else {}


def corrections(state: ImportState, work: WorkLocation) -> Corrections | None:
    """Return the rows of the file that its parents rejected, or None if there are none; for `load_rows`."""
    if not state.parents:
        return None
    return Corrections(state.origins(work), state.rejected(work, *FAILURES_BEFORE_LOAD))


def validate_rows(
    state: ImportState, work: WorkLocation, budget: Budget = UNBOUNDED, server: ServerTypes | None = None
) -> ImportState:
    """Convert text records to typed rows with their absent columns, and write the failures of single rows.

    `server` knows the types that only Postgres can read.
    """
    area = work.area(state.job_id, state.attempt)
    parse_failures = FailureReader(state.batches(work, "parse_failures"))
    absences = state.batches(work, "absences")
    rejections = Rejections.before(state, work, budget)
    with area.writer("rows") as rows, area.writer("validate_failures") as failures:
        for records in state.batches(work, "records"):
            if not records.num_rows:
                continue
            known = parse_failures.through(records["_row"][-1].as_py())
            absence_batch = next(absences, None)
            absent = None if absence_batch is None else absence_batch[absence.COLUMN]
            checked = validate(records, known, state.table, state.mode, absent, server, state.declared)
            typed = checked.rows.select(["_row", "_line", *state.columns])
            rows.write(typed if absent is None else typed.append_column(absence.COLUMN, absent))
            if checked.failures.num_rows:
                failures.write(checked.failures)
            if known.num_rows or checked.failures.num_rows:
                bad = union([known["row"].to_numpy(), checked.failures["row"].to_numpy()])
                if rejections.add(bad, checked.failures):
                    break
    validated = replace(state, files=state.files_with(area, rows, failures))
    rejections.check(validated)
    rejected = validated.rejected(work, "parse_failures", "validate_failures")
    return replace(validated, good=validated.rows - len(rejected))


class KnownRows(Protocol):
    """Finds the rows of a file whose key is in the table; the result is the same in every attempt at the job."""

    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return the numbers of the rows (`_row` and key columns) whose key is in the table."""
        ...

    def keep(self) -> None:
        """Store the results with the job; must be called before any of its rows is written."""
        ...


def split_rows(
    state: ImportState,
    references: References,
    known: KnownRows,
    work: WorkLocation,
    budget: Budget = UNBOUNDED,
    forms: Mapping[str, KeyForm] = NO_FORMS,
) -> ImportState:
    """Split good rows from rejected ones: write a selection for each batch of rows, and the new failures.

    `forms` are the table's `key_forms`, here and in `load_rows`.
    """
    table = replace(state.table, key_forms=forms)
    area = work.area(state.job_id, state.attempt)
    rejected = state.rejected(work, "parse_failures", "validate_failures")
    rows = partial(state.batches, work, "rows")
    good, counted, rejections = 0, 0, Rejections.before(state, work, budget)
    with (
        area.writer("split_failures") as failures,
        area.writer("winners") as winners,
        area.writer("selection") as selection,
    ):
        for part in split(rows, rejected, table, state.mode, references, known.existing, area.folder):
            good += int((~part.failed).sum())
            selection.write(pa.record_batch({"is_good": pa.array(~part.failed)}))
            if part.failures.num_rows:
                failures.write(part.failures)
            if len(part.winners):
                winners.write(pa.record_batch({"row": part.winners}))
            numbers = part.rows["_row"].to_numpy()
            through = int(np.searchsorted(rejected, numbers[-1], side="right"))
            bad, counted = union([rejected[counted:through], numbers[part.failed]]), through
            if rejections.add(bad, part.failures):
                break
    done = rejections.check(
        replace(state, files=state.files_with(area, failures, winners, selection), good=good)
    )
    known.keep()
    return done


def warning_of_keys(state: ImportState, work: WorkLocation) -> str | None:
    """A warning about keys that differ only in case or Unicode form, or about a table without a key; else None."""
    if not state.table.keys:
        return (
            f"{state.table.upload_name} has no key: rows that it has already, or that the file has twice, "
            "are added once more"
        )
    folder = work.area(state.job_id, state.attempt).folder
    return alike_keys(partial(state.batches, work, "rows"), state.table, folder)


def load_rows(
    state: ImportState,
    work: WorkLocation,
    store: RowStore,
    known: KnownRows,
    ids: IdMaker,
    tell: Callable[[str], None],
    forms: Mapping[str, KeyForm] = NO_FORMS,
    on_commit: Callable[[int], None] = lambda processed: None,
) -> ImportState:
    """Load good rows into the table, with a progress line every few seconds, then the rows that get keys back.

    `on_commit` gets the number of rows processed so far, after every transaction.
    """
    assert state.batch_rows is not None
    context = LoadContext(replace(state.table, key_forms=forms), state.mode, store, ids)
    progress = Progress(tell)

    def tell_progress(counts: LoadCounts) -> None:
        text = f"{counts.processed / state.rows:.0%} loaded: {counts.processed:,} of {state.rows:,} rows"
        progress(f"{text}, {counts.rejected:,} of them rejected", is_end=counts.processed == state.rows)
        on_commit(counts.processed)

    counts = load(
        lambda: state.good_rows(work),
        context,
        columns=state.columns,
        total_rows=state.rows,
        batch_rows=state.batch_rows,
        progress=tell_progress,
    )
    if state.mode.rules.rejects_repeated_keys and state.rows - counts.rejected < state.good:
        state = give_keys_back(state, work, context, known.existing)
        counts = sum(store.committed().values(), LoadCounts())
    return replace(state, good=state.rows - counts.rejected)


def write_job_reports(
    state: ImportState,
    failures: Sequence[Iterable[pa.RecordBatch]],
    open_report: Callable[[str], AbstractContextManager[Sink]],
    work: WorkLocation,
    *,
    has_origins: bool = True,
) -> tuple[ReportSummary, tuple[str, ...]]:
    """Write the reports of a job; return their summary and their names, or no names if there are no failures.

    `failures` are those of each stage, sorted by row. `open_report` opens the file of a report by name. With
    `has_origins`, the rejected rows name their origins, and are a workbook, too, if that is possible.
    """
    origins_of = partial(state.origins(work).parts, job=state.job_id) if has_origins else None
    book = RejectedWorkbook(state.table, state.dialect, state.declared, origins_of) if origins_of else None
    names = (ERRORS_CSV, ERRORS_NDJSON, f"rejected{rejected_suffix(state.dialect)}")
    with ExitStack() as stack:
        reports = Reports(*(stack.enter_context(open_report(name)) for name in names))
        reported = write_reports(
            failures,
            state.batches(work, "raw"),
            state.table,
            state.dialect,
            reports,
            origins_of=origins_of,
            workbook=book,
        )
        if book and (content := book.content()):
            stack.enter_context(open_report(WORKBOOK)).write(content)
            names = (*names, WORKBOOK)
    return reported, names if reported.failures else ()
