"""`watch`: the progress of open imports, as lines, as JSON and on a terminal."""

import importlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline

FILE = b"email\nfine@example.com\nnobody\n"


@pytest.fixture
def pending(pipeline: Pipeline) -> ImportJob:
    pipeline.drop("customers/a.csv", FILE)
    pipeline.claim_as_of_a_while_ago()
    return pipeline.job("customers/a.csv")


def between_looks(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    monkeypatch.setattr(importlib.import_module("bulk_pipeline.cli.watch"), "sleep", lambda _: act())


def interrupt() -> None:
    raise KeyboardInterrupt


def test_each_change_of_a_job_is_a_line(
    pipeline: Pipeline, command: Command, pending: ImportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, pipeline.work_off)

    done = command("watch", "--until-idle")

    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["a.csv: pending", "a.csv: completed_with_errors, 2 of 2 rows (100%), 1 rejected"],
    )


def test_each_change_is_a_document_with_json(
    pipeline: Pipeline, command: Command, pending: ImportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, pipeline.work_off)

    before, after = map(json.loads, command("watch", "--until-idle", "--json").stdout.splitlines())

    nothing = {"total": None, "processed": 0, "rejected": 0}
    nothing |= dict.fromkeys(("percent", "rows_per_second", "seconds_left"))
    named = {"id": pending.id, "table": "customers", "file": "a.csv", "error": None}
    assert before == named | nothing | {"status": "pending"}
    assert (after["percent"], after["seconds_left"]) == (100, 0)
    assert (after["id"], after["status"], after["processed"]) == (pending.id, Status.COMPLETED_WITH_ERRORS, 2)


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1", "COLUMNS": "80"}], ids=["lines", "terminal"])
def test_ctrl_c_ends_it_without_an_error(
    command: Command, pending: ImportJob, monkeypatch: pytest.MonkeyPatch, environ: dict[str, Any]
) -> None:
    between_looks(monkeypatch, interrupt)

    done = command("watch", **environ)

    assert (done.returncode, done.stderr) == (0, "")
    assert "a.csv" in done.stdout


def test_jobs_of_other_tables_are_left_out(
    command: Command, pending: ImportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_looks(monkeypatch, interrupt)

    assert command("watch", "--table", "users").stdout == ""


def test_a_terminal_shows_a_table_that_fits(
    pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.drop(f"customers/{'long name ' * 12}.csv", FILE)
    pipeline.claim_as_of_a_while_ago()
    between_looks(monkeypatch, pipeline.work_off)

    done = command("watch", "--until-idle", FORCE_COLOR="1", COLUMNS="80")

    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line) for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:3] == ["id", "table", "file"] for line in lines)
