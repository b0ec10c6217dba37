"""`account` creates accounts, changes their rights, disables and resets them."""

import io
import json
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from bulk_pipeline.errors import WrongPasswordError
from bulk_pipeline.ledger import accounts
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline

ANN = "ann@example.com"
Typed = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "HASH", PasswordHash((hasher,)))


@pytest.fixture
def typed(command: Command, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Run the command with a text on its stdin."""

    def run(text: str, *words: str) -> CompletedProcess[str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return command(*words)

    return run


def listed(command: Command) -> dict[str, dict[str, Any]]:
    done = command("account", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {one["email"]: one for one in json.loads(done.stdout)}


def test_an_account_is_added_with_the_rights_that_are_given(
    pipeline: Pipeline, command: Command, typed: Typed
) -> None:
    words = ("account", "add", "Ann@Example.com", "--import", "customers, users", "--export", "*")
    done = typed("correct horse\n", *words, "--jobs", "all")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ANN}: added\nimport  customers,users\nexport  *\njobs    all\n"
    account = listed(command)[ANN]
    assert (account["import"], account["export"], account["jobs"]) == (["customers", "users"], ["*"], "all")
    assert account["disabled_at"] is None
    assert pipeline.stores.accounts.log_in(ANN, "correct horse", "here").id == account["id"]
    assert "hash" not in str(account)


def test_an_account_may_do_nothing_unless_it_is_said(command: Command, typed: Typed) -> None:
    assert typed("correct horse", "account", "add", ANN).returncode == 0
    account = listed(command)[ANN]
    assert (account["import"], account["export"], account["jobs"]) == ([], [], "own")


def test_without_accounts_the_list_says_so(command: Command) -> None:
    assert command("account", "list").stdout == "no accounts\n"
    assert json.loads(command("account", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "typing", "problem"),
    [
        (("add", "nobody"), "correct horse", "'nobody' is not an address like local@domain.tld"),
        (("add", ANN), "seven77", "a password has 8 to 1,024 characters"),
        (("add", ANN), "", "a password has 8 to 1,024 characters"),
        (("add", ANN, "--import", "user"), "correct horse", "'user' is not a table: expected users,"),
        (("add", "bob@example.com"), "correct horse", "there is an account for bob@example.com already"),
        (("set", ANN, "--export", "*"), "", f"no account {ANN}: `bulk-pipeline account list` lists"),
        (("set", "bob@example.com", "--export", "user"), "", "'user' is not a table"),
        (("disable", ANN), "", f"no account {ANN}"),
        (("enable", ANN), "", f"no account {ANN}"),
        (("reset", ANN), "correct horse", f"no account {ANN}"),
        (("reset", "bob@example.com"), "short", "a password has 8 to 1,024 characters"),
    ],
    ids=str,
)
def test_an_invalid_command_is_an_error_and_changes_nothing(
    command: Command, typed: Typed, words: tuple[str, ...], typing: str, problem: str
) -> None:
    typed("correct horse", "account", "add", "bob@example.com")
    before = listed(command)
    done = typed(typing, "account", *words)
    assert done.returncode != 0
    assert problem in " ".join(done.stderr.replace("│", " ").split())
    assert typing not in done.stderr or not typing
    assert listed(command) == before


def test_rights_that_are_not_given_stay(command: Command, typed: Typed) -> None:
    typed("correct horse", "account", "add", ANN, "--import", "customers", "--export", "*")
    done = command("account", "set", ANN, "--export", "none", "--jobs", "all", "--json")
    account = json.loads(done.stdout)
    assert (account["import"], account["export"], account["jobs"]) == (["customers"], [], "all")
    assert listed(command)[ANN] == account


def test_a_disabled_account_cannot_log_in_until_it_is_enabled(
    pipeline: Pipeline, command: Command, typed: Typed
) -> None:
    typed("correct horse", "account", "add", ANN)
    assert command("account", "disable", ANN).stdout.startswith(f"{ANN}: disabled\n")
    assert listed(command)[ANN]["disabled_at"] is not None
    with pytest.raises(WrongPasswordError):
        pipeline.stores.accounts.log_in(ANN, "correct horse", "here")
    command("account", "enable", ANN)
    assert listed(command)[ANN]["disabled_at"] is None
    assert pipeline.stores.accounts.log_in(ANN, "correct horse", "here").email == ANN


def test_a_reset_takes_the_new_password_from_stdin_and_forgets_failures(
    pipeline: Pipeline, command: Command, typed: Typed
) -> None:
    typed("correct horse", "account", "add", ANN)
    with pytest.raises(WrongPasswordError):
        pipeline.stores.accounts.log_in(ANN, "wrong horse", "here")
    done = typed("another horse\r\n", "account", "reset", ANN)
    assert done.stdout.startswith(f"{ANN}: new password set\n")
    assert pipeline.query("SELECT count(*) FROM bulk.login_failures") == [(0,)]
    assert pipeline.stores.accounts.log_in(ANN, "another horse", "here").email == ANN
    with pytest.raises(WrongPasswordError):
        pipeline.stores.accounts.log_in(ANN, "correct horse", "here")


def test_a_password_is_never_an_argument(command: Command) -> None:
    done = command("account", "add", ANN, "--password", "correct horse")
    assert (done.returncode, "No such option" in done.stderr) == (2, True)
