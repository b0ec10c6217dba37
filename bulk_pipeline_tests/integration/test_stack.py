"""The stack as a whole: up, down, and recovery."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest

import bulk_pipeline
from bulk_pipeline import stack
from bulk_pipeline.errors import StackError
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.graphql import ask
from bulk_pipeline.stack.leftovers import is_running, marked, wait_gone
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.plan import MARK

DEFINITIONS = "bulk_pipeline_tests.rigs.stack_definitions"
REPOSITORY = Path(bulk_pipeline.__file__).parent.parent
SERVICES = {"postgres", "objects", "api", "code_server", "daemon", "webserver"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-test-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent).resolve() / "home"
        yield folder
        stack.down(folder, purge=True)
        assert not folder.exists()


@pytest.fixture
def home(folder: Path) -> Path:
    """A home with a running stack, restored after the previous test."""
    if not stack.status(folder).healthy:
        stack.down(folder)
        up(folder)
    return folder


def test_status_says_how_to_reach_every_part(home: Path) -> None:
    result = stack.status(home)
    assert (result.home, result.healthy, result.up) == (str(home), True, True)
    assert {service.name: service.problem for service in result.services} == dict.fromkeys(SERVICES)
    assert set(result.s3.buckets) == {"uploads", "archive", "reports", "exports"}
    assert stack.environment(home)["DATABASE_URL"] == result.database_url
    with psycopg.connect(result.database_url or "") as connection:
        assert connection.execute("SELECT to_regclass('customers')::text").fetchone() == ("customers",)


def test_secrets_are_only_for_the_owner(home: Path) -> None:
    place = homes.at(home)
    closed = [place.record, place.objects, place.dagster, place.logs, place.work]
    assert [path.stat().st_mode & 0o077 for path in closed] == [0] * len(closed)
    shown = " ".join(word for process in owned_processes(home) for word in process.cmdline())
    assert [secret for secret in homes.read(place).secrets.values() if secret in shown] == []


def test_only_the_loopback_interface_is_listened_on(home: Path) -> None:
    connections = [c for process in owned_processes(home) for c in process.net_connections()]
    addresses = {c.laddr.ip.removeprefix("::ffff:") for c in connections if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


def test_a_page_of_another_site_uses_neither_dagster_nor_the_api(home: Path) -> None:
    result, foreign = stack.status(home), {"Origin": "https://evil.example"}
    mutation = {"query": "mutation { reloadWorkspace { __typename } }"}
    for url in (f"{result.dagster_url}/graphql", f"{result.api_url}/api/v1/exports"):
        assert httpx2.post(url, json=mutation, headers=foreign).status_code == 403
        assert httpx2.post(url, json=mutation, headers={"Host": "evil.example"}).status_code == 421
    by_link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = httpx2.get(f"{result.dagster_url}/graphql", params=mutation, headers=by_link)
    assert answer.status_code == 403
    own = {"Origin": str(result.dagster_url), "Sec-Fetch-Site": "same-origin"}
    assert httpx2.post(f"{result.dagster_url}/graphql", json=mutation, headers=own).status_code == 200
    page = httpx2.get(f"{result.dagster_url}/runs", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["X-Frame-Options"]) == (200, "DENY")


def test_a_second_up_is_refused_with_the_address(home: Path) -> None:
    with pytest.raises(StackError, match=f"already up; its UI is at {stack.status(home).dagster_url}"):
        up(home)
    assert stack.status(home).healthy


def test_a_process_that_dies_is_started_again(home: Path) -> None:
    before = restarts(home)
    kill([process for process in processes(home) if process != supervisor(home)])

    def started_again() -> bool:  # more than once, if what a process needs was not there yet
        return all(count > before[name] for name, count in restarts(home).items())

    until(lambda: started_again() and stack.status(home).healthy, seconds=60)


def test_down_ends_runs_and_up_keeps_data_and_addresses_until_ctrl_c(home: Path) -> None:
    before, mark, run = stack.status(home), leave_a_mark(home), launch(home, "endless")
    until(lambda: run_status(home, run) == "STARTED", seconds=60)
    running = processes(home)
    assert stack.down(home)
    assert still_there(running) == []
    assert not stack.status(home).healthy
    with in_the_foreground(home) as owner:
        after = stack.status(home)
        assert after.healthy
        assert (after.database_url, after.s3, after.dagster_url, after.api_url) == (
            before.database_url,
            before.s3,
            before.dagster_url,
            before.api_url,
        )
        assert marks(home, mark) == (True, True)
        assert run_status(home, run) == "FAILURE"
        running = processes(home)
        owner.send_signal(signal.SIGINT)
        assert owner.wait(60) == 0
    assert still_there(running) == []


def test_up_recovers_after_everything_was_killed(home: Path) -> None:
    mark = leave_a_mark(home)
    kill(processes(home))
    with pytest.raises(StackError, match="no stack is running"):
        stack.environment(home)
    up(home)
    assert stack.status(home).healthy
    assert marks(home, mark) == (True, True)


def test_up_stops_processes_of_a_killed_supervisor(home: Path) -> None:
    run = launch(home, "endless")
    until(lambda: run_status(home, run) == "STARTED", seconds=60)
    before = processes(home)
    kill([supervisor(home)])
    up(home)
    assert still_there(before) == []
    assert stack.status(home).healthy


def test_given_servers_are_used_and_none_is_started(
    tmp_path: Path, settings: Settings, object_server: Gateway
) -> None:
    folder = tmp_path / "home"
    given = {
        f"S3_BUCKET_{use}": getattr(settings, f"s3_bucket_{use.lower()}") for use in ("UPLOADS", "ARCHIVE")
    }
    given |= {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "S3_ENDPOINT_URL": object_server.url,
        "S3_ACCESS_KEY": object_server.access_key,
        "S3_SECRET_KEY": object_server.secret_key,
    }
    stack.up(folder, detach=True, environ=environ() | given, definitions=DEFINITIONS)
    try:
        result = stack.status(folder)
        assert result.healthy
        assert {s.name for s in result.services if s.pid} == {"api", "code_server", "daemon", "webserver"}
        assert result.database_url == given["DATABASE_URL"]
        assert result.s3.buckets["uploads"] == settings.s3_bucket_uploads
    finally:
        stack.down(folder, purge=True)


def test_a_given_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://user:secret@127.0.0.1:9/none",
        "S3_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    with pytest.raises(StackError, match=r"does not answer: Postgres at 127\.0\.0\.1:9") as caught:
        stack.up(tmp_path / "home", detach=True, environ=environ() | given, definitions=DEFINITIONS)
    assert "secret" not in str(caught.value)


def test_definitions_that_cannot_be_loaded_are_an_error_and_leave_nothing(
    tmp_path: Path, settings: Settings
) -> None:
    folder = tmp_path / "home"
    given = {"DATABASE_URL": settings.database_url.get_secret_value()}
    with pytest.raises(StackError, match="code_server stopped with exit code 1") as caught:
        stack.up(folder, detach=True, environ=environ() | given, definitions="no_such_definitions")
    title, *lines = caught.value.details
    assert title == f"the end of {folder / 'logs' / 'code_server.log'}:"
    assert "No module named 'no_such_definitions'" in lines[-1]
    assert processes(folder) == []


def test_a_port_that_is_taken_is_reported_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=f"^port {port} is in use by another program: set API_PORT"):
            stack.up(
                folder, detach=True, environ=environ() | {"API_PORT": str(port)}, definitions=DEFINITIONS
            )
    assert processes(folder) == []
    result = stack.status(folder)
    assert (result.up, result.api_url, result.services) == (False, None, ())


def test_a_supervisor_that_cannot_write_says_why(tmp_path: Path) -> None:
    """As on a full disk, where it cannot write a log either."""
    folder = tmp_path / "home"
    homes.make(homes.at(folder))
    homes.at(folder).record.mkdir()
    with pytest.raises(StackError, match="the stack did not start: IsADirectoryError"):
        stack.up(folder, detach=True, environ=environ(), definitions=DEFINITIONS)
    assert processes_of_mark(folder) == []


def test_down_without_a_stack_is_no_error(tmp_path: Path) -> None:
    assert not stack.down(tmp_path / "nowhere")
    assert not stack.status(tmp_path / "nowhere").healthy


def test_purge_keeps_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    homes.make(homes.at(tmp_path))
    stack.down(tmp_path, purge=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def up(folder: Path) -> None:
    stack.up(folder, detach=True, environ=environ(), definitions=DEFINITIONS)


@contextmanager
def in_the_foreground(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `up` in the foreground until it prints the address; yield the process."""
    program = (
        "import os, sys; from pathlib import Path; from bulk_pipeline import stack\n"
        "stack.up(Path(sys.argv[1]), definitions=sys.argv[2], on_ready=lambda url: print(url, flush=True))"
    )
    command = [sys.executable, "-c", program, str(folder), DEFINITIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ()) as owner:
        assert owner.stdout
        assert owner.stdout.readline().strip() == stack.status(folder).dagster_url
        try:
            yield owner
        finally:
            owner.kill()


def environ() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)}


def processes(folder: Path) -> list[psutil.Process]:
    """Return all processes of the stack: its own, their children, and those with its mark."""
    owned = owned_processes(folder)
    children = [child for process in owned for child in process.children(recursive=True)]
    return list({*owned, *children, *marked(MARK, str(folder))})


def processes_of_mark(folder: Path) -> list[psutil.Process]:
    """Return the processes with the stack's mark, for when its record cannot be read."""
    return marked(MARK, str(folder))


def owned_processes(folder: Path) -> list[psutil.Process]:
    """Return the supervisor and the services."""
    record = homes.read(homes.at(folder))
    started = [*record.services.values(), *filter(None, [record.supervisor])]
    return [process for one in started if (process := one.find())]


def still_there(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if is_running(process)]


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert wait_gone(processes, 10) == []


def supervisor(folder: Path) -> psutil.Process:
    started = homes.read(homes.at(folder)).supervisor
    result = started and started.find()
    assert result
    return result


def restarts(folder: Path) -> dict[str, int]:
    return {service.name: service.restarts for service in stack.status(folder).services}


def leave_a_mark(folder: Path) -> str:
    """Store a row and an object."""
    name = f"mark-{time.monotonic_ns()}"
    known = stack.environment(folder)
    with psycopg.connect(known["DATABASE_URL"]) as connection:
        connection.execute("INSERT INTO customers (email) VALUES (%s)", [f"{name}@example.com"])
    client = s3.connect(settings_of(folder))
    client.put_object(Bucket="archive", Key=name, Body=b"")
    client.close()
    return name


def marks(folder: Path, name: str) -> tuple[bool, bool]:
    """Return True for the row and for the object, if they exist."""
    known = stack.environment(folder)
    with psycopg.connect(known["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT 1 FROM customers WHERE email = %s", [f"{name}@example.com"]
        ).fetchone()
    client = s3.connect(settings_of(folder))
    listed = client.list_objects_v2(Bucket="archive", Prefix=name)["KeyCount"]
    client.close()
    return row is not None, listed == 1


def settings_of(folder: Path) -> Settings:
    return Settings.model_validate({name.lower(): v for name, v in stack.environment(folder).items()})


def launch(folder: Path, job: str) -> str:
    mutation = """mutation ($selector: JobOrPipelineSelector!) {
      launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
        ... on LaunchRunSuccess { run { runId } }
      }
    }"""
    selector = {
        "repositoryLocationName": "bulk_pipeline",
        "repositoryName": "__repository__",
        "pipelineName": job,
    }
    return ask(address(folder), mutation, {"selector": selector})["launchRun"]["run"]["runId"]


def run_status(folder: Path, run: str) -> str:
    query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    return ask(address(folder), query, {"id": run})["runOrError"]["status"]


def address(folder: Path) -> str:
    return stack.environment(folder)["DAGSTER_URL"]


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
