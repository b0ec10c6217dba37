"""The servers of the stack, and the settings of Dagster's processes and clients."""

import socket
from pathlib import Path

import pytest

from bulk_pipeline.errors import SettingsError, StackError
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack import plan
from bulk_pipeline.stack.home import Home, Record

GIVEN = {
    "DATABASE_URL": "postgresql://user:word@db.example/things",
    "S3_ENDPOINT_URL": "https://s3.example",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = homes.at(tmp_path / "home")
    homes.make(place)
    return place


def test_given_servers_are_used(home: Home) -> None:
    made = plan.make(home, Record(), GIVEN, "definitions")
    assert (made.cluster, made.gateway) == (None, None)
    assert {name: made.environment[name] for name in GIVEN} == GIVEN
    assert made.environment["DAGSTER_POSTGRES_URL"] == (
        "postgresql+psycopg2://user:word@db.example/things?options=-csearch_path%3Ddagster"
    )


def test_amazons_s3_needs_no_keys(home: Home) -> None:
    given = {"DATABASE_URL": GIVEN["DATABASE_URL"], "S3_ENDPOINT_URL": "https://s3.amazonaws.com"}
    made = plan.make(home, Record(), given, "definitions")
    assert made.gateway is None
    assert "S3_ACCESS_KEY" not in made.environment


def test_secrets_and_free_ports_are_those_of_the_last_time(home: Home) -> None:
    first = plan.make(home, Record(), GIVEN, "definitions").record
    assert plan.make(home, first, GIVEN, "definitions").record == first


def test_our_own_earlier_server_is_not_mistaken_for_an_external_one(tmp_path: Path) -> None:
    given = GIVEN | {"S3_ENDPOINT_URL": "http://127.0.0.1:20001"}
    place = homes.at(tmp_path)
    homes.make(place)
    made = plan.make(place, Record(ports={"objects": 20_001}), given, "definitions")
    assert made.gateway
    assert made.environment["S3_SECRET_KEY"] == made.gateway.secret_key != "secret"


def test_a_chosen_work_folder_stays(home: Home, tmp_path: Path) -> None:
    made = plan.make(home, Record(), GIVEN | {"BULK_WORK_DIR": str(tmp_path / "fast")}, "definitions")
    assert made.environment["BULK_WORK_DIR"] == str(tmp_path / "fast")
    assert plan.make(home, Record(), GIVEN, "definitions").environment["BULK_WORK_DIR"] == str(home.work)


def test_work_files_in_s3_have_their_copies_in_the_stacks_own_folder(home: Home) -> None:
    made = plan.make(home, Record(), GIVEN | {"BULK_WORK_DIR": "s3://bulk-work/eu"}, "definitions")
    assert made.environment["BULK_WORK_DIR"] == "s3://bulk-work/eu"
    assert made.environment["BULK_SCRATCH_DIR"] == str(home.work)


def test_no_proxy_stands_between_the_processes(home: Home) -> None:
    made = plan.make(home, Record(), GIVEN | {"NO_PROXY": "intranet"}, "definitions")
    assert made.environment["NO_PROXY"] == made.environment["no_proxy"] == "intranet,127.0.0.1"


def test_only_processes_carry_the_mark(home: Home) -> None:
    made = plan.make(home, Record(), GIVEN, "definitions")
    assert plan.MARK not in made.environment
    assert made.process_environment({"PATH": "/bin"}) == {
        "PATH": "/bin",
        **made.environment,
        plan.MARK: str(home.folder),
    }


def test_a_port_that_is_taken_is_named_with_its_setting(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            StackError, match=f"port {port} is in use by another program: set API_PORT to another"
        ):
            plan.make(home, Record(), GIVEN | {"API_PORT": str(port)}, "definitions")


def test_an_invalid_port_is_named_with_the_expected_range(home: Home) -> None:
    with pytest.raises(SettingsError, match=r"^API_PORT: 'abc' is wrong; expected a whole number$"):
        plan.make(home, Record(), GIVEN | {"API_PORT": "abc"}, "definitions")


@pytest.mark.parametrize("port", ["", "0"])
def test_port_0_is_any_free_port(home: Home, port: str) -> None:
    made = plan.make(home, Record(), GIVEN | {"API_PORT": port}, "definitions")
    assert made.api.port == made.record.ports["api"]
