"""The work location: files appear complete or not at all, locally and in the mirror; missing files are an error."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bulk_pipeline.errors import NotFoundError, StoreUnavailableError, WorkFilesMissingError
from bulk_pipeline.pipeline.work_files import WorkLocation

JOB, OTHER = "019aba5e-0000-7000-8000-000000000001", "019aba5e-0000-7000-8000-000000000002"


@dataclass
class Elsewhere:
    """A mirror in memory. `aged` has ages in seconds by owner; `is_out` simulates an outage."""

    files: dict[str, bytes] = field(default_factory=dict)
    aged: dict[str, float] = field(default_factory=dict)
    is_out: bool = False

    def push(self, reference: str, file: Path) -> None:
        if self.is_out:
            raise StoreUnavailableError("out")
        self.files[reference] = file.read_bytes()

    def pull(self, reference: str, file: Path) -> None:
        file.write_bytes(b"the beginning")
        if self.is_out:
            raise StoreUnavailableError("out")
        if reference not in self.files:
            raise NotFoundError(reference)
        file.write_bytes(self.files[reference])

    def remove(self, owner: str) -> None:
        self.files = {
            name: content for name, content in self.files.items() if not name.startswith(f"{owner}/")
        }

    def ages(self) -> dict[str, float]:
        return self.aged


@pytest.fixture(params=[None, Elsewhere], ids=["folder", "mirrored"])
def work(request: pytest.FixtureRequest, tmp_path: Path) -> WorkLocation:
    return WorkLocation(tmp_path, request.param and request.param())


def batch(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array(numbers, pa.int64())})


def write(work: WorkLocation, *batches: pa.RecordBatch) -> str | None:
    """Write a file as a step does; return its reference."""
    area = work.area(JOB, 1)
    with area.writer("rows") as rows:
        for one in batches:
            rows.write(one)
    return area.references(rows)["rows"]


def numbers(work: WorkLocation, reference: str | None) -> list[list[int | None]]:
    return [part["n"].to_pylist() for part in work.read(reference)]


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_written_batches_are_read_one_by_one(work: WorkLocation) -> None:
    reference = write(work, batch(1, 2), batch(3))
    assert reference == f"{JOB}/1/rows.arrow"
    assert numbers(work, reference) == [[1, 2], [3]]
    assert files(work.folder) == [reference]


def test_a_file_that_got_no_batch_has_no_reference_and_reads_as_none(work: WorkLocation) -> None:
    assert write(work) is None
    assert numbers(work, None) == []


def test_a_step_that_dies_leaves_no_file(work: WorkLocation) -> None:
    wrong: Any = "two"
    with pytest.raises(pa.ArrowInvalid), work.area(JOB, 1).writer("rows") as rows:
        rows.write(batch(1, wrong))
    assert files(work.folder) == []


def test_a_step_that_is_repeated_replaces_what_was_there(work: WorkLocation) -> None:
    write(work, batch(1))
    assert numbers(work, write(work, batch(2))) == [[2]]


def test_a_step_that_is_repeated_and_writes_nothing_leaves_nothing_old(work: WorkLocation) -> None:
    write(work, batch(1))
    assert write(work) is None
    assert files(work.folder) == []


def test_files_that_are_gone_are_an_error_with_a_remedy(work: WorkLocation) -> None:
    reference = write(work, batch(1))
    work.remove(JOB)
    with pytest.raises(WorkFilesMissingError, match=f"{reference}.*run the job again from parse"):
        numbers(work, reference)
    assert files(work.folder) == []


def test_attempts_do_not_share_a_folder(work: WorkLocation) -> None:
    assert work.area(JOB, 1).folder != work.area(JOB, 2).folder


def test_owners_of_unchanged_files_are_found_and_removed(work: WorkLocation) -> None:
    write(work, batch(1))
    work.put(f"{OTHER}/split.json", b"{}")
    assert work.untouched_for(seconds=3600) == []
    assert work.untouched_for(seconds=-1) == [JOB, OTHER]
    work.remove(JOB)
    assert work.untouched_for(seconds=-1) == [OTHER]


def test_files_without_an_owner_are_never_listed(work: WorkLocation) -> None:
    work.put("users/a.csv", b"")
    work.put(f"{{{JOB}}}/a.csv", b"")
    assert work.untouched_for(seconds=-1) == []


def test_another_machine_finds_the_files(tmp_path: Path) -> None:
    here = WorkLocation(tmp_path / "here", Elsewhere())
    there = WorkLocation(tmp_path / "there", here.mirror)
    reference = write(here, batch(1), batch(2))
    assert numbers(there, reference) == [[1], [2]]
    assert files(there.folder) == [reference]


def test_a_file_that_is_here_is_not_fetched(tmp_path: Path) -> None:
    mirror = Elsewhere()
    work = WorkLocation(tmp_path, mirror)
    reference = write(work, batch(1))
    mirror.files.clear()
    assert numbers(work, reference) == [[1]]


def test_a_mirror_that_is_out_is_an_outage_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    mirror = Elsewhere()
    work = WorkLocation(tmp_path, mirror)
    reference = write(work, batch(1))
    mirror.is_out = True
    with pytest.raises(StoreUnavailableError):
        write(work, batch(2))
    shutil.rmtree(work.folder)
    with pytest.raises(StoreUnavailableError):
        numbers(work, reference)
    assert files(work.folder) == []


def test_an_owner_is_left_alone_only_if_no_machine_has_touched_it(tmp_path: Path) -> None:
    mirror = Elsewhere(aged={JOB: 10.0, OTHER: 5000.0})
    work = WorkLocation(tmp_path, mirror)
    assert work.untouched_for(seconds=3600) == [OTHER]
    work.area(OTHER, 1)
    assert work.untouched_for(seconds=3600) == []


def test_a_small_file_is_replaced_at_one_stroke(work: WorkLocation) -> None:
    for content in (b"first", b"second"):
        work.put(f"{JOB}/split.json", content)
    assert work.find(f"{JOB}/split.json").read_bytes() == b"second"
    assert files(work.folder) == [f"{JOB}/split.json"]
