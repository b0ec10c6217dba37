"""The files of a workload: the upload, and its good rows as CSV for `\\copy`."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bulk_pipeline.bench.choices import FileFormat
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.samples.writing import encoded, header


def write_upload(workload: Workload, folder: Path) -> tuple[Path, Expected]:
    """Write the file to drop. Return it, and the result that it must have in an empty table."""
    path, sample = folder / f"upload.{workload.format}", workload.sample
    if workload.format is FileFormat.PARQUET:
        _write_parquet(sample, path)
        with (folder / "upload.csv").open("wb") as unused:
            expected = sample.write(unused)
        (folder / "upload.csv").unlink()
    else:
        with path.open("wb") as file:
            expected = sample.write(file, Format(workload.format))
    return path, expected[workload.mode.mode]


def write_good(sample: Sample, path: Path) -> Path:
    """Write the good rows in file order, with the columns of the file, quoted where necessary."""
    with path.open("wb") as file:
        file.write(header(sample.columns, Format.CSV))
        for batch in sample.good():
            texts = [_as_postgres_reads(column) for column in batch.columns]
            file.write(b"".join(encoded(sample.columns, texts, Format.CSV).to_pylist()))
    return path


def _write_parquet(sample: Sample, path: Path) -> None:
    """Write typed columns, in row groups of the usual size."""
    batches = list(sample.good())
    table = pa.Table.from_batches(batches)
    parquet.write_table(table, path, row_group_size=1 << 17)


def _as_postgres_reads(column: pa.Array) -> pa.Array:
    if not pa.types.is_list(column.type):
        return column.cast(pa.string())
    inside = pc.binary_join(column, '","')
    filled = pc.binary_join_element_wise('{"', inside, '"}', "")
    return pc.if_else(pc.equal(pc.list_value_length(column), 0), "{}", filled)
