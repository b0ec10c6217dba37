"""The list of commands, and the message for an invalid option."""

from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from bulk_pipeline.cli import accounts, bench, notify, stack
from bulk_pipeline.cli.adopt import adopt
from bulk_pipeline.cli.check import check_files
from bulk_pipeline.cli.doctor import doctor
from bulk_pipeline.cli.export import export_table
from bulk_pipeline.cli.export_jobs import export_status, exports
from bulk_pipeline.cli.imports import import_files
from bulk_pipeline.cli.init import init
from bulk_pipeline.cli.jobs import cancel, errors, job, jobs, retry
from bulk_pipeline.cli.open_rows import show_open
from bulk_pipeline.cli.parse import parse_files
from bulk_pipeline.cli.propose import propose
from bulk_pipeline.cli.psql import psql
from bulk_pipeline.cli.sample import write_sample
from bulk_pipeline.cli.tables import print_schema, show_tables
from bulk_pipeline.cli.watch import watch
from bulk_pipeline.settings import sentence


class Commands(TyperGroup):
    """Replaces pydantic's messages about invalid options, which are for programmers, by `settings.sentence`."""

    def invoke(self, ctx: Any) -> Any:  # typer does not export the type of its context
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError):
                error.message = "; ".join(map(sentence, error.__cause__.errors()))
            raise


app = typer.Typer(
    cls=Commands,
    name="bulk-pipeline",
    help="Bulk import and export between files in S3 and tables in Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STACK = "The stack"
_IMPORTS = "Imports"
_EXPORTS = "Exports"
_FILES = "Files, without a stack"

app.command("init", rich_help_panel=_STACK)(init)
app.command("adopt", rich_help_panel=_STACK)(adopt)
app.command("up", rich_help_panel=_STACK)(stack.up)
app.command("down", rich_help_panel=_STACK)(stack.down)
app.command("status", rich_help_panel=_STACK)(stack.status)
app.command("migrate", rich_help_panel=_STACK)(stack.migrate)
app.command("doctor", rich_help_panel=_STACK)(doctor)
app.command(
    "psql",
    rich_help_panel=_STACK,
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": ["--help"],
    },
)(psql)
app.command("demo", rich_help_panel=_STACK)(stack.demo)
app.command("version", rich_help_panel=_STACK)(stack.version)
app.add_typer(accounts.app, name="account", rich_help_panel=_STACK)
app.add_typer(notify.app, name="notify", rich_help_panel=_STACK)
app.add_typer(bench.app, name="bench", rich_help_panel=_STACK)
app.command("import", rich_help_panel=_IMPORTS)(import_files)
app.command("jobs", rich_help_panel=_IMPORTS)(jobs)
app.command("job", rich_help_panel=_IMPORTS)(job)
app.command("errors", rich_help_panel=_IMPORTS)(errors)
app.command("open", rich_help_panel=_IMPORTS)(show_open)
app.command("watch", rich_help_panel=_IMPORTS)(watch)
app.command("retry", rich_help_panel=_IMPORTS)(retry)
app.command("cancel", rich_help_panel=_IMPORTS)(cancel)
app.command("export", rich_help_panel=_EXPORTS)(export_table)
app.command("exports", rich_help_panel=_EXPORTS)(exports)
app.command("export-status", rich_help_panel=_EXPORTS)(export_status)
app.command("check", rich_help_panel=_FILES)(check_files)
app.command("sample", rich_help_panel=_FILES)(write_sample)
app.command("tables", rich_help_panel=_FILES)(show_tables)
app.command("schema", rich_help_panel=_FILES)(print_schema)
app.command("propose", rich_help_panel=_FILES)(propose)
app.command("parse", rich_help_panel=_FILES)(parse_files)
