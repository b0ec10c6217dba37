"""The work area: files appear whole or not at all, and say so when they are gone."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from bulk_pipeline.errors import WorkFilesMissingError
from bulk_pipeline.orchestration.staged import FailureReader
from bulk_pipeline.orchestration.work import WorkArea, jobs_untouched_for, read, remove_job
from bulk_pipeline.stages.failures import FAILURES


def batch(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array(numbers, pa.int64())})


def failures(*rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"row": row, "code": "required", "message": "missing"} for row in rows], schema=FAILURES
    )


def test_what_is_written_is_read_batch_by_batch(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    with area.writer("rows") as rows:
        rows.write(batch(1, 2))
        rows.write(batch(3))
    assert [part["n"].to_pylist() for part in read(area.path("rows"))] == [[1, 2], [3]]


def test_a_file_that_got_no_batch_reads_as_none(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    with area.writer("rows"):
        pass
    assert list(read(area.path("rows"))) == []


def test_a_step_that_dies_leaves_no_file(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    with pytest.raises(pa.ArrowInvalid), area.writer("rows") as rows:
        rows.write(batch(1, "two"))  # pyright: ignore[reportArgumentType]  # that is the point
    assert list(area.folder.iterdir()) == []


def test_a_step_that_is_repeated_replaces_what_was_there(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    for number in (1, 2):
        with area.writer("rows") as rows:
            rows.write(batch(number))
    assert [part["n"].to_pylist() for part in read(area.path("rows"))] == [[2]]


def test_a_step_that_is_repeated_and_writes_nothing_leaves_nothing_old(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    with area.writer("rows") as rows:
        rows.write(batch(1))
    with area.writer("rows"):
        pass
    assert list(read(area.path("rows"))) == []


def test_files_that_are_gone_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    area = WorkArea.of(tmp_path, "job", 1)
    shutil.rmtree(area.folder)
    with pytest.raises(WorkFilesMissingError, match="run the job again from parse"):
        list(read(area.path("rows")))


def test_attempts_do_not_share_a_folder(tmp_path: Path) -> None:
    assert WorkArea.of(tmp_path, "job", 1).folder != WorkArea.of(tmp_path, "job", 2).folder


def test_a_job_that_was_left_alone_is_found_and_removed(tmp_path: Path) -> None:
    WorkArea.of(tmp_path, "job", 1)
    assert jobs_untouched_for(tmp_path, seconds=3600) == []
    assert jobs_untouched_for(tmp_path, seconds=-1) == ["job"]
    remove_job(tmp_path, "job")
    assert jobs_untouched_for(tmp_path, seconds=-1) == []


def test_failures_are_read_alongside_the_rows_they_belong_to() -> None:
    reader = FailureReader([failures(1, 3), failures(4), failures(9)])
    assert [reader.through(row)["row"].to_pylist() for row in (2, 3, 8, 20)] == [[1], [3], [4], [9]]


def test_a_row_without_failures_gets_none() -> None:
    reader = FailureReader([])
    assert reader.through(100).num_rows == 0
