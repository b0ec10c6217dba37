"""`sample`: realistic data of any size, the same for the same seed, with the counts an import must come to."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import JsonOption
from bulk_pipeline.cli.numbers import count, share
from bulk_pipeline.cli.whole_file import given
from bulk_pipeline.samples.formats import Format


def write_sample(
    table: Annotated[str, typer.Argument(help="The table the rows are for.")],
    rows: Annotated[str, typer.Option(help="How many records: 1000000, 1_000_000 or 1e6.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    bad: Annotated[str, typer.Option(metavar="SHARE", help="How many are bad: 1%, 0.01 or 1/100.")] = "0",
    parents: Annotated[
        str | None, typer.Option(help="How many good rows the samples of its parents have.")
    ] = None,
    file_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.CSV,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write to this file, not stdout.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write sample data, and say what an import into an empty table must come to.

    Children refer to the rows that the samples of their parents have for the same seed.

    Example: bulk-pipeline sample users --rows 1000 --seed 7 --bad 1% -o users.csv
    """
    from bulk_pipeline.samples.sample import Sample

    out = given(out)
    if as_json and out is None:
        raise typer.BadParameter("--json takes stdout: name a file with -o")
    declared = tables.get(table)
    counts = dict.fromkeys(declared.parents, count(parents)) if parents else {}
    records = count(rows, least=0)
    sample = Sample(declared, records, seed, share(bad), counts)
    if out is None:
        expected = sample.write(sys.stdout.buffer, file_format)
        sys.stdout.buffer.flush()
    else:
        with out.open("wb") as file:
            expected = sample.write(file, file_format)
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
