"""The list of commands: a parts list, nothing else."""

import typer

from bulk_pipeline.cli.tables import show_tables

app = typer.Typer(
    name="bulk-pipeline",
    help="Bulk import and export between files in S3 and tables in Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("tables")(show_tables)
