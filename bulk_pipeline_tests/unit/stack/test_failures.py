"""The messages about a part of the stack that does not start."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from bulk_pipeline.stack.failures import end_of, not_started, program_failed

Usage = namedtuple("Usage", "total used free")


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(5_000)))
    assert end_of(log, lines=2) == (f"the end of {log}:", "  line 4998", "  line 4999")


def test_a_log_without_new_lines_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert end_of(log) == ()
    log.write_text("of the time before\n")
    assert end_of(log, since=log.stat().st_size) == ()


def test_a_line_of_json_is_shown_as_a_person_reads_it(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text(
        '{"logger": "uvicorn.error", "level": "error", "message": "address already in use",'
        ' "exception": [{"kind": "OSError", "message": "Errno 98", "stack": ["a.py:1 f"]}, {"kind": "ValueError"}]}\n'
        '{"not": "an event"}\n'
        "{broken\n"
    )
    assert end_of(log)[1:] == (
        "  error: address already in use",
        "  OSError: Errno 98",
        "  ValueError",
        '  {"not": "an event"}',
        "  {broken",
    )


def test_a_full_disk_is_reported_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 1 << 30, 4096))
    error = not_started("postgres stopped with exit code 1", tmp_path / "logs" / "postgres.log")
    assert str(error) == (
        f"postgres stopped with exit code 1: the disk of {tmp_path} is full (4 KB are free): "
        "free disk space, or choose another --home"
    )


def test_a_program_that_removed_its_unfinished_file_still_reports_a_full_disk(
    tmp_path: Path,
) -> None:
    message = "FATAL:  could not extend file\n\nHINT:  Check free disk space.\n\tbye\n"
    error = program_failed("initdb failed", tmp_path / "data", message)
    assert f"the disk of {tmp_path} is full" in str(error)
    assert error.details == ("FATAL:  could not extend file", "HINT:  Check free disk space.", "        bye")
