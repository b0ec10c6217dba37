"""Starting, waiting for and stopping one process."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack.leftovers import marked, wait_gone
from bulk_pipeline.stack.process import Service, running, start, stop, wait

SLEEP = "time.sleep(600)"


def test_a_process_that_exits_before_it_answers_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of the time before\n")
    child = start(service(tmp_path, "print('the port is taken'); sys.exit(7)", answers=False))
    with pytest.raises(StackError) as failed:
        wait(child, 20)
    assert str(failed.value) == "sleeper stopped with exit code 7"
    assert failed.value.details == (f"the end of {log}:", "  the port is taken")


def test_a_process_that_never_answers_is_an_error(tmp_path: Path) -> None:
    child = start(service(tmp_path, SLEEP, answers=False))
    with pytest.raises(StackError, match=r"sleeper does not answer after 0\.1 s"):
        wait(child, 0.1)
    stop([child])


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    missing = Service("gone", [tmp_path / "gone"], {}, tmp_path, tmp_path / "log", lambda: True)
    with pytest.raises(StackError, match="gone cannot be started"):
        start(missing)


def test_stopping_ends_the_children_of_the_process_too(tmp_path: Path) -> None:
    program = f"import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; {SLEEP}']); {SLEEP}"
    with running(service(tmp_path, program)) as child:
        parent = psutil.Process(child.process.pid)
        while not (started := parent.children()):
            time.sleep(0.02)
    assert wait_gone([parent, *started], 5) == []


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    program = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
    child = start(service(tmp_path, program, stop_seconds=0.2))
    while not (tmp_path / "log").read_text():
        time.sleep(0.02)
    stop([child])
    assert child.process.returncode == -9


def test_marked_processes_are_found_and_no_others(tmp_path: Path) -> None:
    with (
        running(service(tmp_path, SLEEP, mark="this")) as child,
        running(service(tmp_path, SLEEP, mark="that")),
    ):
        time.sleep(0.1)
        assert [process.pid for process in marked("TEST_MARK", "this")] == [child.process.pid]


def service(
    folder: Path, program: str, *, answers: bool = True, stop_seconds: float = 10, mark: str = ""
) -> Service:
    return Service(
        name="sleeper",
        command=[sys.executable, "-c", f"import sys, time; {program}"],
        environment={"TEST_MARK": mark},
        folder=folder,
        log=folder / "log",
        answers=lambda: answers,
        stop_seconds=stop_seconds,
    )
