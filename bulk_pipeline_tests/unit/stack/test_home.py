"""A home stores its state, and has one owner."""

import os
from pathlib import Path

import pytest

from bulk_pipeline.errors import StackError
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.home import Home, Record, Started
from bulk_pipeline.stack.status import environment


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = homes.at(tmp_path / "home")
    homes.make(place)
    return place


def test_a_record_is_read_as_it_was_written_and_closed_to_others(home: Home) -> None:
    record = Record(secrets={"postgres": "x"}, supervisor=Started(pid=1, started_at=2.5), ready=True)
    homes.write(home, record)
    assert homes.read(home) == record
    assert home.record.stat().st_mode & 0o777 == 0o600


def test_a_home_without_a_record_remembers_nothing(home: Home) -> None:
    assert homes.read(home) == Record()


def test_a_home_has_one_owner_at_a_time(home: Home) -> None:
    owner = Started.of(os.getpid())
    homes.write(home, Record(supervisor=owner, environment={"DAGSTER_URL": "http://127.0.0.1:1"}))
    with (
        homes.owned(home),
        pytest.raises(StackError, match=r"already up; its UI is at http://127\.0\.0\.1:1"),
        homes.owned(home),
    ):
        pass
    with homes.owned(home):
        pass


def test_a_later_process_of_the_same_number_is_not_the_one_remembered() -> None:
    now = Started.of(os.getpid())
    result = now.find()
    assert result is not None
    assert result.pid == os.getpid()
    assert now.model_copy(update={"started_at": now.started_at - 10}).find() is None


def test_an_unknown_process_is_not_found() -> None:
    assert Started.of(2**22 + 1).find() is None


def test_where_no_stack_runs_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError) as error:
        environment(tmp_path)
    assert str(error.value) == (
        f"no stack is running in {tmp_path}; start one with: bulk-pipeline up --home {tmp_path}, or change to the "
        "folder of the project"
    )
