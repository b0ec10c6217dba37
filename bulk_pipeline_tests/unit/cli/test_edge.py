"""An error that is not a bug is one line with the place and the reason, never a traceback."""

import errno
import os
from pathlib import Path

import pytest

from bulk_pipeline import stack
from bulk_pipeline.errors import StackError
from bulk_pipeline_tests.rigs.command_here import run_here

USERS = "id,email,name,role\n0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70,a@example.com,Ada,boss\n"


def stderr(*words: object, status: int = 1) -> str:
    done = run_here({}, *words)
    assert done.returncode == status, done.stderr
    return done.stderr.decode()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.csv"
    file.write_text(USERS)
    return file


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "users", "--rows", "100", "-o"),
        ("parse", "{users}", "-o"),
    ],
)
def test_a_full_disk_is_one_line(users: Path, words: tuple[str, ...]) -> None:
    output = stderr(*(word.format(users=users) for word in words), "/dev/full")
    assert output == "error: cannot write /dev/full: No space left on device\n"


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "users", "--rows", "100", "-o", "{below}.csv"),
        ("parse", "{users}", "-o", "{below}.csv"),
        ("check", "{users}", "--table", "users", "-o", "{below}"),
        ("check", "{users}", "--table", "users", "-o", "{users}"),
    ],
)
def test_a_folder_that_is_a_file_is_one_line_and_nothing_is_left(users: Path, words: tuple[str, ...]) -> None:
    below = users / "x"
    output = stderr(*(word.format(users=users, below=below) for word in words))
    assert output.startswith(f"error: cannot write {users}")
    assert output.count("\n") == 1
    assert ("Not a directory" in output) or ("File exists" in output)
    assert [(file.name, file.read_text()) for file in users.parent.iterdir()] == [("users.csv", USERS)]


def test_a_stack_in_a_folder_that_cannot_be_made_is_one_line(users: Path) -> None:
    output = stderr("up", "--home", users / "x").splitlines()
    assert output[1:] == [
        f"error: cannot use {users / 'x'} for a stack: Not a directory; choose another folder with --home"
    ]


def test_the_end_of_a_log_is_shown_line_by_line_and_never_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def up(*_: object, **__: object) -> None:
        raise StackError("api stopped with exit code 3", ("the end of api.log:", "  one\x1b[2J", "  two"))

    monkeypatch.setattr(stack, "up", up)
    assert stderr("up", "--home", tmp_path).splitlines()[1:] == [
        "error: api stopped with exit code 3",
        "  the end of api.log:",
        r"    one\x1b[2J",
        "    two",
    ]


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/mnt/x"), "cannot use /mnt/x: Read-only file system"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), b"/mnt/x"), "cannot use /mnt/x: Permission denied"),
        (OSError("what Arrow says"), "what Arrow says"),
    ],
)  # fmt: skip
def test_an_error_of_the_system_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, output: str
) -> None:
    def status(_: Path) -> None:
        raise error

    monkeypatch.setattr(stack, "status", status)
    assert stderr("status", "--home", tmp_path) == f"error: {output}\n"


def test_status_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    done = run_here({}, "status", "--home", tmp_path / "my home")
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        f"home   {tmp_path}/my home",
        "stack  not running",
        f"start it with: bulk-pipeline up --home '{tmp_path}/my home' --detach",
    ]


def test_status_after_a_failed_start_has_no_addresses(tmp_path: Path) -> None:
    """The record of the last start stays, so that the next one has the same addresses."""
    home = stack.home.at(tmp_path)
    stack.home.write(
        home,
        stack.home.Record(
            environment={
                "DAGSTER_URL": "http://127.0.0.1:1",
                "API_URL": "http://127.0.0.1:2",
                "DATABASE_URL": "postgresql://u:p@127.0.0.1:3/d",
                "S3_ENDPOINT_URL": "http://127.0.0.1:4",
            }
        ),
    )
    result = stack.status(tmp_path)
    assert (result.up, result.healthy, result.services) == (False, False, ())
    assert (result.dagster_url, result.api_url, result.database_url, result.s3.endpoint_url) == (None,) * 4
    assert "http" not in run_here({}, "status", "--home", tmp_path).stdout.decode()
