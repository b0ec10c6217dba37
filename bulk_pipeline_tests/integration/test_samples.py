"""What a sample says must come of it is what comes of it, in a real database."""

import io
from collections import Counter
from fractions import Fraction

import numpy as np
import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.samples.checksum import checksum_sql
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.load import load
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.row_store import LoadCounts
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.split import split
from bulk_pipeline.stages.validate import validate
from bulk_pipeline.stores.references import PostgresReferences
from bulk_pipeline.stores.settlements import load_failures
from bulk_pipeline_tests.integration.loading import Loading

ROWS = 400
BAD = Fraction(1, 4)


def bring(
    database_url: str, sample: Sample, mode: Mode, format: Format
) -> tuple[LoadCounts, Counter[str], Expected]:
    """Import a sample: the counts, the failures by code, and what was expected."""
    out = io.BytesIO()
    expected = sample.write(out, format)[mode]
    out.seek(0)
    table, typed, failures = sample.table, [], []
    upload = open_upload(out, f"sample.{format}", table=table, mode=mode)
    for chunk in upload:
        checked = validate(chunk.records, chunk.failures, table, mode)
        typed.append(checked.rows)
        failures += [chunk.failures, checked.failures]
    rejected = np.unique(np.concatenate([found["row"].to_numpy() for found in failures]))
    job = Loading(database_url, table.name, mode).start()
    with job.postgres() as postgres:
        parts = list(split(lambda: typed, rejected, table, mode, PostgresReferences(postgres, table)))
    with job.store() as store:
        counts = load(
            lambda: [part.good for part in parts],
            total_rows=upload.rows,
            batch_rows=150,
            table=table,
            mode=mode,
            columns=upload.columns,
            store=store,
            ids=IdMaker(),
        )
    failures += [part.failures for part in parts]
    with job.postgres() as postgres:
        failures += list(load_failures(postgres, job.job_id))
    return counts, Counter(code for found in failures for code in found["code"].to_pylist()), expected


def content(database_url: str, table: Table, columns: tuple[str, ...]) -> tuple[int, int]:
    """The number of rows and the checksum, made by the database."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(checksum_sql(table, columns).encode()).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def have_parents(database_url: str, table: Table) -> None:
    """The tables before this one, each with a clean sample."""
    for parent in tables.in_load_order():
        if parent.name == table.name:
            return
        bring(database_url, Sample(parent, ROWS), Mode.INSERT_ONLY, Format.CSV)


@pytest.mark.parametrize("name", tables.names())
def test_a_clean_sample_is_in_the_database_as_it_was_made(each_database_url: str, name: str) -> None:
    table = tables.get(name)
    have_parents(each_database_url, table)

    counts, codes, expected = bring(each_database_url, Sample(table, ROWS), Mode.INSERT_ONLY, Format.CSV)

    assert (counts.inserted, counts.rejected, codes) == (ROWS, 0, Counter())
    assert content(each_database_url, table, expected.checksum_columns) == (ROWS, expected.checksum)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", tables.names())
def test_a_bad_sample_becomes_exactly_what_it_says(
    database_url: str, name: str, format: Format, mode: Mode
) -> None:
    table = tables.get(name)
    have_parents(database_url, table)

    counts, codes, expected = bring(database_url, Sample(table, ROWS, bad=BAD), mode, format)

    assert (counts.inserted, counts.superseded, counts.rejected) == (
        expected.inserted,
        expected.superseded,
        expected.rejected,
    )
    assert dict(codes) == expected.codes
    assert content(database_url, table, expected.checksum_columns) == (expected.inserted, expected.checksum)
