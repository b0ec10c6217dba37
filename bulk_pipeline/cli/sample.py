"""`sample`: reproducible sample data of any size, with the counts that importing it must produce."""

from pathlib import Path
from typing import Annotated

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import JsonOption
from bulk_pipeline.cli.options import count, share
from bulk_pipeline.cli.output_files import is_special, output_path, standard_output, whole_file
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.stages.export import formats


def write_sample(
    table: Annotated[str, typer.Argument(help="The table to write sample rows for.")],
    rows: Annotated[str, typer.Option(help="Number of records: 1000000, 1_000_000 or 1e6.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    bad: Annotated[str, typer.Option(metavar="SHARE", help="Share of bad rows: 1%, 0.01 or 1/100.")] = "0",
    parents: Annotated[
        str | None, typer.Option(help="Number of good rows in the samples of the tables that rows refer to.")
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="Default: the format that the file name implies, else csv."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Write to this file instead of stdout."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write sample data of a table, and print the counts that importing it should produce.

    Values follow from the types, choices, patterns, keys and rules of the table. Rows refer to rows of the samples of
    other tables with the same seed. Where the table's upload format has a notation of its own, import the file with
    --profile export.

    Example: bulk-pipeline sample users --rows 1000 --seed 7 --bad 1% -o users.csv
    """
    from bulk_pipeline.samples.sample import Sample

    out = output_path(out)
    if as_json and out is None:
        raise typer.BadParameter("--json prints to stdout: name a file for the data with -o")
    chosen = _format(out, file_format)
    declared = tables.get(table)
    others = {str(other.qualified_name) for other in tables.in_load_order()}
    counts = dict.fromkeys(others, count(parents, "--parents")) if parents else {}
    records = count(rows, "--rows", least=0)
    sample = Sample(declared, records, seed, share(bad, "--bad"), counts)
    with standard_output() if out is None else whole_file(out) as file:
        expected = sample.write(file, chosen)
    counts_by_mode = {
        str(mode): {
            "total": result.rows,
            "inserted": result.inserted,
            "superseded": result.superseded,
            "rejected": result.rejected,
            "failures": dict(result.codes),
            "checksum": str(result.checksum),
        }
        for mode, result in expected.items()
    }
    if as_json:
        output.print_json(
            {"table": table, "rows": records, "seed": seed, "file": str(out), "expected": counts_by_mode}
        )
        return
    for mode, facts in counts_by_mode.items():
        output.err.print(f"{mode}: {output.text(facts)}", markup=False, soft_wrap=True)


def _format(out: Path | None, option: Format | None) -> Format:
    """Return the option's format, else the one that the file name implies. `SelectionError` if the two disagree."""
    if out is None or is_special(out):
        return option or Format.CSV
    written = formats.CommandFormats(tuple(map(formats.Format, Format)), packs=False)
    return Format(formats.of_file(out.name, formats.Format(option) if option else None, written=written)[0])
