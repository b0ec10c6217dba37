"""Origins of rows, as texts that survive spreadsheets, and as sets."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.arrow.text import joined
from bulk_pipeline.stages.origins import ORIGINS, Corrections, Origins, found_origins, origin_parts
from bulk_pipeline.stages.parse.parsed import RAW

JOB = "01a222dd-7c0e-7abc-8def-0123456789ab"
OTHER = "01a222dd-7c0e-7abc-8def-0123456789ac"


def text(row: int, job: str = JOB) -> bytes:
    return bytes(joined(origin_parts(pa.array([row]), job)))


def raw(*cells: bytes) -> pa.RecordBatch:
    numbers = pa.array(range(1, len(cells) + 1), pa.int64())
    return pa.RecordBatch.from_arrays([numbers, numbers, pa.array(cells, pa.binary())], schema=RAW)


def origins(*found: tuple[int, str, int]) -> Origins:
    rows = [dict(zip(ORIGINS.names, row, strict=True)) for row in found]
    return Origins.of([pa.RecordBatch.from_pylist(rows, schema=ORIGINS)])


def as_tuples(found: Origins) -> list[tuple[int, str, int]]:
    jobs = [found.jobs[place] for place in found.places]
    return list(zip(found.rows.tolist(), jobs, found.job_rows.tolist(), strict=True))


@pytest.mark.parametrize("row", [1, 17, 999_999, 123_456_789_012_345])
def test_an_origin_is_a_text_that_spreadsheets_leave_as_it_is(row: int) -> None:
    assert re.fullmatch(rf"row{row}-{JOB}-[a-z]{{3}}".encode(), text(row))


@pytest.mark.parametrize(
    "around",
    [
        b"%b",
        b'2,3,"bad",%b,a@b.co',
        b"2;3;bad;%b;a@b.co",
        b'2\t3\t"bad"\t"%b"',
        b'{"_origin":"%b","a":1}',
        b"\xff,%b,\xfc",
    ],
)
def test_an_origin_is_found_in_the_bytes_of_a_row(around: bytes) -> None:
    found = found_origins(raw(b"x", around % text(17), around % b""))

    assert as_tuples(Origins.of([found])) == [(2, JOB, 17)]


def test_the_first_origin_of_a_row_counts() -> None:
    assert as_tuples(Origins.of([found_origins(raw(text(1) + b"," + text(2, OTHER)))])) == [(1, JOB, 1)]


@given(st.integers(0, 1 << 62), st.integers(0, 55), st.characters(codec="ascii"))
def test_an_origin_that_was_changed_in_one_place_is_none_or_another_text_around_it(
    row: int, at: int, character: str
) -> None:
    whole = text(row % 10**17 + 1).decode()
    at %= len(whole)
    changed = whole[:at] + character + whole[at + 1 :]

    found = as_tuples(Origins.of([found_origins(raw(changed.encode()))]))

    assert found in ([], [(1, JOB, row % 10**17 + 1)]) if changed == whole else found == []


def test_of_rows_with_the_same_origin_the_first_has_it() -> None:
    found = origins((3, JOB, 7), (4, OTHER, 7), (5, JOB, 7), (6, JOB, 8))

    assert as_tuples(found) == [(3, JOB, 7), (4, OTHER, 7), (6, JOB, 8)]
    assert found.counts() == {JOB: 2, OTHER: 1}


def test_origins_of_other_jobs_than_the_given_ones_are_left_out() -> None:
    batch = pa.RecordBatch.from_pylist(
        [{"row": 1, "job": JOB, "job_row": 7}, {"row": 2, "job": OTHER, "job_row": 8}], schema=ORIGINS
    )

    assert as_tuples(Origins.of([batch], [OTHER])) == [(2, OTHER, 8)]


def test_a_rejected_row_keeps_its_origin_or_gets_one_of_its_own() -> None:
    found = origins((2, JOB, 7), (4, OTHER, 9))
    parts = found.parts(pa.array([1, 2, 4]), "own")

    assert bytes(joined([*parts, b"\n"])).split() == [text(1, "own"), text(7), text(9, OTHER)]
    assert bytes(joined(origins().parts(pa.array([5]), "own"))) == text(5, "own")


def test_rows_are_fixed_unless_they_are_rejected_before_or_by_loading() -> None:
    found = origins((1, JOB, 11), (2, JOB, 12), (3, JOB, 13), (4, OTHER, 14), (9, JOB, 19))
    corrections = Corrections(found, rejected=np.array([2, 9]))

    fixed, refused = corrections.of_range(1, 4, np.array([4]))

    assert {job: rows.tolist() for job, rows in fixed.by_job().items()} == {JOB: [11, 13]}
    assert {job: rows.tolist() for job, rows in refused.by_job().items()} == {JOB: [12], OTHER: [14]}
    fixed, refused = corrections.of_rows(np.array([2, 3, 5]), np.array([3]))
    assert (as_tuples(fixed), as_tuples(refused)) == ([(2, JOB, 12)], [(3, JOB, 13)])
