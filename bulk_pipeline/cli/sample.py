"""`sample`: realistic data of any size, the same for the same seed, with the counts an import must come to."""

from pathlib import Path
from typing import Annotated

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import JsonOption
from bulk_pipeline.cli.numbers import count, share
from bulk_pipeline.cli.whole_file import given, is_special, standard_output, whole_file
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.stages.export import formats


def write_sample(
    table: Annotated[str, typer.Argument(help="The table the rows are for.")],
    rows: Annotated[str, typer.Option(help="How many records: 1000000, 1_000_000 or 1e6.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    bad: Annotated[str, typer.Option(metavar="SHARE", help="How many are bad: 1%, 0.01 or 1/100.")] = "0",
    parents: Annotated[
        str | None, typer.Option(help="How many good rows the samples of its parents have.")
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Without it, what the name of the file says, else csv.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write to this file, not stdout.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write sample data, and print the counts that importing it should produce.

    Children refer to the rows that the samples of their parents have for the same seed.

    Example: bulk-pipeline sample users --rows 1000 --seed 7 --bad 1% -o users.csv
    """
    from bulk_pipeline.samples.sample import Sample

    out = given(out)
    if as_json and out is None:
        raise typer.BadParameter("--json takes stdout: name a file with -o")
    chosen = _format(out, file_format)
    declared = tables.get(table)
    counts = dict.fromkeys(declared.parents, count(parents, "--parents")) if parents else {}
    records = count(rows, "--rows", least=0)
    sample = Sample(declared, records, seed, share(bad, "--bad"), counts)
    with standard_output() if out is None else whole_file(out) as file:
        expected = sample.write(file, chosen)
    known = {
        str(mode): {
            "total": found.rows,
            "inserted": found.inserted,
            "superseded": found.superseded,
            "rejected": found.rejected,
            "failures": dict(found.codes),
            "checksum": str(found.checksum),
        }
        for mode, found in expected.items()
    }
    if as_json:
        output.print_json(
            {"table": table, "rows": records, "seed": seed, "file": str(out), "expected": known}
        )
        return
    for mode, facts in known.items():
        output.err.print(f"{mode}: {output.text(facts)}", markup=False, soft_wrap=True)


def _format(out: Path | None, asked: Format | None) -> Format:
    """The format that is asked for, else what the name of the file says, which may not say anything else."""
    if out is None or is_special(out):
        return asked or Format.CSV
    written = formats.Written(tuple(map(formats.Format, Format)), packs=False)
    return Format(formats.of_file(out.name, formats.Format(asked) if asked else None, written=written)[0])
