"""`up`, `down`, `status`, `migrate`, `demo`: the servers and processes the pipeline runs on."""

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
        bool, typer.Option("--detach", help="Return once it is ready; `down` stops it.")
    ] = False,
) -> None:
    """Start the stack: Postgres and an S3 server, unless DATABASE_URL and S3_ENDPOINT_URL name others, and Dagster.

    Example: bulk-pipeline up --detach
    """
    from bulk_pipeline import stack

    output.err.print(f"starting in {home.resolve()} ...", markup=False, soft_wrap=True)
    stack.up(home, detach=detach, on_ready=lambda url: _ready(home, url, detach))


def down(
    home: HomeOption = DEFAULT_HOME,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the stack's data too, for good.")] = False,
) -> None:
    """Stop the stack and everything it started.

    Example: bulk-pipeline down --purge
    """
    from bulk_pipeline import stack

    stopped = stack.down(home, purge=purge)
    output.say("stopped" if stopped else f"no stack was up in {home.resolve()}")
    if purge:
        output.say("removed its data")


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show whether the stack is healthy, where it is reached, and how many jobs wait. Exit 1 if it is not.

    Example: bulk-pipeline status --json
    """
    from bulk_pipeline import stack
    from bulk_pipeline.stores.jobs import Status

    found = stack.status(home)
    waiting = stores_of(home).ledger.open_counts() if found.healthy else {}
    pending, processing = (waiting.get(state, 0) for state in (Status.PENDING, Status.PROCESSING))
    if as_json:
        output.print_json(found.as_dict() | {"pending": pending, "processing": processing})
    else:
        _show(found, pending, processing, home)
    if not found.healthy:
        raise typer.Exit(1)


def migrate(
    home: HomeOption = DEFAULT_HOME,
    with_roles: Annotated[
        bool, typer.Option("--roles", help="Then make the roles of sql/roles.sql, and hand all over to them.")
    ] = False,
) -> None:
    """Apply the migrations in sql/ that the database does not have yet, and make room for Dagster's tables.

    Roles are made by a login that may create some; once there are any, each `migrate` gives them their rights.

    Example: DATABASE_URL=postgresql://... bulk-pipeline migrate --roles
    """
    from bulk_pipeline.stack.dagster import SCHEMA
    from bulk_pipeline.stores import migrations, roles, servers

    database_url = settings_of(home).database_url.get_secret_value()
    applied = migrations.migrate(database_url)
    servers.create_schema(database_url, SCHEMA)
    if with_roles:
        roles.make_roles(database_url, migrations.sql_folder())
        output.say("the roles bulk_owner, bulk_loader, bulk_reader and bulk_dagster have their rights")
    for name in applied:
        output.say(f"applied {name}")
    if not applied:
        output.say("nothing to apply: the database is up to date")


def demo(
    home: Annotated[
        Path, typer.Option(help="The folder of the demo's own stack; emptied afterwards.")
    ] = Path(".bulk-demo"),
    rows: Annotated[int, typer.Option(min=100, help="Records in the largest files.")] = 20_000,
) -> None:
    """Drop sample files for every table into a bucket, and check what the pipeline makes of them.

    Exit 0 only if every count and a checksum of each table's content are what the samples know they must be.

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


def _ready(home: Path, url: str, detach: bool) -> None:
    for problem in _table_problems(home):
        output.err.print(f"warning: {problem}: imports into that table fail", markup=False)
    output.say(f"ready: Dagster UI at {url}")
    if not detach:
        output.say("Ctrl-C stops it")


def _table_problems(home: Path) -> list[str]:
    """Why imports into some of the tables would fail."""
    from bulk_pipeline import tables
    from bulk_pipeline.stores import table_fit

    try:
        with closing(stores_of(home)) as stores:
            return table_fit.load_problems(stores.postgres, tables.in_load_order())
    except BulkPipelineError as error:
        return [str(error)]


def _show(found: "StackStatus", pending: int, processing: int, home: Path) -> None:
    if not found.up:
        output.print_facts({"home": found.home, "stack": "not running"})
        output.say(f"start it with: {start_command(home)}")
        return
    running = {service.name for service in found.services if service.healthy}
    addresses = {
        "Dagster UI": ("webserver", found.dagster_url),
        "API": ("api", found.api_url),
        "S3": ("objects", found.s3.endpoint_url),
    }
    output.print_facts(
        {
            "home": found.home,
            "healthy": found.healthy,
            **{name: address for name, (service, address) in addresses.items() if service in running},
            "jobs pending": pending,
            "jobs processing": processing,
        }
    )
    output.print_grid(
        ("service", "state", "pid", "restarts"),
        ((s.name, s.problem or "healthy", str(s.pid or ""), s.restarts) for s in found.services),
    )
    output.say("connection strings and keys: bulk-pipeline status --json")
