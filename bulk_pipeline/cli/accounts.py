"""`account`: accounts for the HTTP API and their rights."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.ledger.credentials import checked_address, checked_password
from bulk_pipeline.rights import EVERY_TABLE, JobsRight, Rights, read_tables, shown_tables

if TYPE_CHECKING:
    from bulk_pipeline.ledger.accounts import Account

app = typer.Typer(no_args_is_help=True)


def _address(text: str) -> str:
    try:
        return checked_address(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is {error}") from error


def _tables(text: str) -> str:
    for name in read_tables(text):
        if name not in (EVERY_TABLE, *tables.names()):
            raise typer.BadParameter(
                f"{name!r} is not a table: expected {', '.join(tables.names())}, * or none"
            )
    return text


EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's email address.")]
NewEmailArgument = Annotated[
    str, typer.Argument(metavar="EMAIL", callback=_address, help="The email address to log in with.")
]
ImportOption = Annotated[
    str,
    typer.Option(
        "--import",
        metavar="TABLES",
        callback=_tables,
        help="Tables the account may import into, separated by commas; '*' for every table, none for none.",
    ),
]
ExportOption = Annotated[
    str,
    typer.Option(
        "--export",
        metavar="TABLES",
        callback=_tables,
        help="Tables the account may export, in the same notation.",
    ),
]
JobsOption = Annotated[
    JobsRight, typer.Option(help="Jobs the account may see, read and cancel: only its own, or all.")
]


@app.callback()
def account() -> None:
    """Create accounts for the HTTP API and set their rights.

    Example: bulk-pipeline account add ann@example.com --import customers
    """


@app.command()
def add(
    email: NewEmailArgument,
    import_tables: ImportOption = "none",
    export_tables: ExportOption = "none",
    jobs: JobsOption = JobsRight.OWN,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Create an account. The password is prompted for, or read from the first line of stdin.

    Example: bulk-pipeline account add ann@example.com --import customers --export '*' --jobs own
    """
    accounts = stores_of(home).accounts
    rights = Rights(read_tables(import_tables), read_tables(export_tables), jobs)
    _show(accounts.register(email, _password(), rights), "added", as_json)


@app.command("list")
def list_accounts(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the accounts and their rights.

    Example: bulk-pipeline account list --json
    """
    documents = [_describe(account) for account in stores_of(home).accounts.all()]
    if as_json:
        output.print_json(documents)
    elif documents:
        rows = (tuple(document.values()) for document in documents)
        output.print_grid(tuple(documents[0]), rows, dispensable=("id",))
    else:
        output.say("no accounts")


@app.command("set")
def set_rights(
    email: EmailArgument,
    import_tables: Annotated[
        str | None,
        typer.Option("--import", metavar="TABLES", help="The tables it may import into from now on."),
    ] = None,
    export_tables: Annotated[
        str | None, typer.Option("--export", metavar="TABLES", help="The tables it may export from now on.")
    ] = None,
    jobs: Annotated[
        JobsRight | None, typer.Option(help="The jobs it may see, read and cancel from now on.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Change the rights of an account, at once. Rights without an option stay as they are.

    Example: bulk-pipeline account set ann@example.com --export users,articles
    """
    accounts = stores_of(home).accounts
    rights = accounts.by_email(email).rights
    if import_tables is not None:
        rights = replace(rights, import_tables=read_tables(_tables(import_tables)))
    if export_tables is not None:
        rights = replace(rights, export_tables=read_tables(_tables(export_tables)))
    if jobs is not None:
        rights = replace(rights, jobs=jobs)
    _show(accounts.set_rights(email, rights), "changed", as_json)


@app.command()
def disable(email: EmailArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Disable an account: its tokens expire at once and it cannot log in. Its jobs continue.

    Example: bulk-pipeline account disable ann@example.com
    """
    _show(stores_of(home).accounts.disable(email), "disabled", as_json)


@app.command()
def enable(email: EmailArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Let a disabled account log in again.

    Example: bulk-pipeline account enable ann@example.com
    """
    _show(stores_of(home).accounts.enable(email), "enabled", as_json)


@app.command()
def reset(email: EmailArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Set a new password, prompted for or read from stdin. The account's tokens expire, its failed logins are reset.

    Example: bulk-pipeline account reset ann@example.com
    """
    accounts = stores_of(home).accounts
    accounts.by_email(email)  # fail before the password prompt
    _show(accounts.reset(email, _password()), "new password set", as_json)


def _password() -> str:
    """Read a password. It is never an argument, since other users of the machine can see arguments."""
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        return checked_password(password)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, from a prompt or the first line of stdin") from error


def _show(account: "Account", what: str, as_json: bool) -> None:
    if as_json:
        output.print_json(_describe(account))
        return
    rights = account.rights
    output.say(f"{account.email}: {what}")
    output.print_facts(
        {
            "import": shown_tables(rights.import_tables),
            "export": shown_tables(rights.export_tables),
            "jobs": rights.jobs,
        }
    )


def _describe(account: "Account") -> dict[str, Any]:
    """Return the account as plain values, as `--json` prints it."""
    return {
        "id": account.id,
        "email": account.email,
        "import": list(account.rights.import_tables),
        "export": list(account.rights.export_tables),
        "jobs": account.rights.jobs,
        "created_at": account.created_at,
        "disabled_at": account.disabled_at,
    }
