"""`up`, `down`, `status`, `migrate`, `demo`, `version`: the servers and processes the pipeline runs on."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    settings_of,
    start_command,
    stores_of,
)
from bulk_pipeline.errors import BulkPipelineError

if TYPE_CHECKING:
    from bulk_pipeline.stack.status import StackStatus


def up(
    home: HomeOption = DEFAULT_HOME,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the stack is ready; `down` stops it.")
    ] = False,
) -> None:
    """Start the stack: Dagster, and Postgres and an S3 server unless DATABASE_URL and S3_ENDPOINT_URL name others.

    Example: bulk-pipeline up --detach
    """
    from bulk_pipeline import stack

    output.err.print(f"starting in {home.resolve()} ...", markup=False, soft_wrap=True)
    stack.up(home, detach=detach, on_ready=lambda url: announce(home, url, detach))


def down(
    home: HomeOption = DEFAULT_HOME,
    purge: Annotated[bool, typer.Option("--purge", help="Also delete the stack's data.")] = False,
) -> None:
    """Stop the stack and everything it started.

    Example: bulk-pipeline down --purge
    """
    from bulk_pipeline import stack

    stopped = stack.down(home, purge=purge)
    output.say("stopped" if stopped else f"no stack was running in {home.resolve()}")
    if purge:
        output.say("removed its data")


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the health of the stack, its addresses and the number of open jobs. Exit 1 if it is not healthy.

    Example: bulk-pipeline status --json
    """
    from bulk_pipeline import stack
    from bulk_pipeline.ledger.jobs import Status

    state = stack.status(home)
    jobs = stores_of(home).ledger.open_counts() if state.healthy else {}
    pending, processing = (jobs.get(status, 0) for status in (Status.PENDING, Status.PROCESSING))
    if as_json:
        output.print_json(state.as_dict() | {"pending": pending, "processing": processing})
    else:
        _show(state, pending, processing, home)
    if not state.healthy:
        raise typer.Exit(1)


def migrate(
    home: HomeOption = DEFAULT_HOME,
    with_roles: Annotated[
        bool,
        typer.Option(
            "--roles", help="Also create the roles of sql/roles.sql, and transfer all objects to them."
        ),
    ] = False,
) -> None:
    """Apply the migrations in sql/ that the database does not have yet, and create the schema for Dagster's tables.

    They make the ledger and, without a project, the tables of the sample data. Tables of a project are not touched.

    --roles needs a login that may create roles. Once they exist, each `migrate` updates their rights.

    Example: DATABASE_URL=postgresql://... bulk-pipeline migrate --roles
    """
    from bulk_pipeline.postgres import admin, migrations, roles
    from bulk_pipeline.stack.dagster import SCHEMA

    database_url = settings_of(home).database_url.get_secret_value()
    applied = migrations.migrate(database_url)
    admin.create_schema(database_url, SCHEMA)
    if with_roles:
        roles.make_roles(database_url, migrations.sql_folder())
        output.say("updated the roles bulk_owner, bulk_loader, bulk_reader and bulk_dagster")
    for name in applied:
        output.say(f"applied {name}")
    if not applied:
        output.say("nothing to apply: the database is up to date")


def demo(
    home: Annotated[Path, typer.Option(help="Folder of the demo's own stack; emptied afterwards.")] = Path(
        ".bulk-demo"
    ),
    rows: Annotated[int, typer.Option(min=100, help="Records in the largest files.")] = 20_000,
) -> None:
    """Drop sample files for every table into a bucket of a separate stack, and check the results.

    Exit 0 only if every count and each table's checksum match the samples.

    Example: bulk-pipeline demo --rows 100000
    """
    from bulk_pipeline.cli import demo

    if not demo.run(home, rows):
        raise typer.Exit(1)


def version() -> None:
    """Print the version.

    Example: bulk-pipeline version
    """
    from bulk_pipeline import __version__

    output.say(__version__)


def announce(home: Path, url: str, detach: bool) -> None:
    """Print where the stack's UI is, after warnings about tables whose imports will fail."""
    for problem in _table_problems(home):
        remedy = _remedy(problem)
        output.err.print(f"warning: {problem}: imports into this table will fail{remedy}", markup=False)
    output.say(f"ready: Dagster UI at {url}")
    if not detach:
        output.say("stop it with Ctrl-C")


def _table_problems(home: Path) -> list[str]:
    """Return why imports into tables would fail, a sentence per problem."""
    from bulk_pipeline import tables
    from bulk_pipeline.postgres import table_fit

    try:
        with closing(stores_of(home)) as stores:
            return table_fit.load_problems(stores.postgres, tables.in_load_order())
    except BulkPipelineError as error:
        return [str(error)]


def _remedy(problem: str) -> str:
    """Return how to create the table that is missing; nothing for other problems."""
    from bulk_pipeline import tables

    names = {
        f"table {table.qualified_name} is missing": table.upload_name for table in tables.in_load_order()
    }
    if problem not in names:
        return ""
    project, script = tables.served().project, f"{names[problem]}.sql"
    if project is None or not (project / script).is_file():
        return "; create it, or remove its declaration"
    return f"; create it: bulk-pipeline psql -f {os.path.relpath(project / script)}"


def _show(state: "StackStatus", pending: int, processing: int, home: Path) -> None:
    if not state.up:
        output.print_facts({"home": state.home, "stack": "not running"})
        output.say(f"start it with: {start_command(home)}")
        return
    running = {service.name for service in state.services if service.healthy}
    addresses = {
        "Dagster UI": ("webserver", state.dagster_url),
        "API": ("api", state.api_url),
        "S3": ("objects", state.s3.endpoint_url),
    }
    output.print_facts(
        {
            "home": state.home,
            "healthy": state.healthy,
            **{name: address for name, (service, address) in addresses.items() if service in running},
            "jobs pending": pending,
            "jobs processing": processing,
        }
    )
    output.print_grid(
        ("service", "state", "pid", "restarts"),
        ((s.name, s.problem or "healthy", str(s.pid or ""), s.restarts) for s in state.services),
    )
    output.say("connection strings and keys: bulk-pipeline status --json")
