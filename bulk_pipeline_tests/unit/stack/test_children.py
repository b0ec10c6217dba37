"""Restarts of child processes."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bulk_pipeline.stack.children import Children
from bulk_pipeline.stack.process import Service


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    made.stop(["failing", "living"])


def test_a_living_child_is_left_alone(children: Children, tmp_path: Path) -> None:
    child = children.start(service("living", "time.sleep(600)", tmp_path))
    assert not children.revive(time.monotonic())
    assert children["living"] is child


def test_a_child_that_keeps_dying_gets_longer_and_longer_pauses(children: Children, tmp_path: Path) -> None:
    children.start(service("failing", "sys.exit(1)", tmp_path))
    now, pauses = time.monotonic(), []
    for _ in range(8):
        children["failing"].process.wait()
        died = now
        while not children.revive(now):
            now += 0.5
        pauses.append(now - died)
    assert pauses == pytest.approx([0, 1, 2, 4, 8, 16, 30, 30])
    assert children.started()["failing"].restarts == 8


def test_a_child_that_ran_for_a_while_is_started_again_at_once(children: Children, tmp_path: Path) -> None:
    child = children.start(service("failing", "sys.exit(1)", tmp_path))
    child.process.wait()
    assert children.revive(time.monotonic())
    children["failing"].process.wait()
    assert children.revive(time.monotonic() + 61)


def test_a_child_is_not_restarted_before_its_dependencies(children: Children, tmp_path: Path) -> None:
    there = False
    child = children.start(replace(service("failing", "sys.exit(1)", tmp_path), may_restart=lambda: there))
    child.process.wait()
    assert not children.revive(time.monotonic())
    there = True
    assert children.revive(time.monotonic())


def service(name: str, program: str, folder: Path) -> Service:
    return Service(
        name=name,
        command=[sys.executable, "-c", f"import sys, time; {program}"],
        environment={},
        folder=folder,
        log=folder / "log",
        answers=lambda: True,
    )
