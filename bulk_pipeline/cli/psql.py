"""`psql`: psql on the pipeline's database."""

import os
import shutil
import subprocess
from urllib.parse import unquote, urlsplit

import typer

from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, settings_of


def psql(context: typer.Context, home: HomeOption = DEFAULT_HOME) -> None:
    """Start psql on the pipeline's database; all other options are those of psql.

    Example: bulk-pipeline psql -f products.sql
    """
    from bulk_pipeline.stack import binaries

    url = urlsplit(settings_of(home).database_url.get_secret_value())
    program = shutil.which("psql") or binaries.installed(max(binaries.VERSIONS)).psql
    # The password is not an argument: those can be seen by every user of the machine.
    environ = {**os.environ, **({"PGPASSWORD": unquote(url.password)} if url.password else {})}
    address = url._replace(netloc=_without_password(url.netloc)).geturl()
    with subprocess.Popen([program, "--dbname", address, *context.args], env=environ) as process:
        raise typer.Exit(_wait(process))


def _without_password(netloc: str) -> str:
    account, at, host = netloc.rpartition("@")
    return f"{account.partition(':')[0]}{at}{host}"


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ctrl-C ends a statement in psql, not psql
            continue
