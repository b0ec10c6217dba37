"""Samples have their expected results in a real database."""

import io
from collections import Counter
from fractions import Fraction

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.ledger.import_batches import load_failures
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.samples.checksum import checksum_sql
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load import LoadContext, load
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.split import split
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.rigs.loading import Loading
from bulk_pipeline_tests.rigs.related import LINES, ORDERS, PEOPLE, RELATED, create_all

ROWS = 400
BAD = Fraction(1, 4)


def bring(
    database_url: str, sample: Sample, mode: Mode, format: Format
) -> tuple[LoadCounts, Counter[str], Expected]:
    """Import a sample; return the counts, the failures by code, and the expected values."""
    out = io.BytesIO()
    expected = sample.write(out, format)[mode]
    out.seek(0)
    table, typed, failures = sample.table, [], []
    upload = open_upload(out, f"sample.{format}", table=table, mode=mode)
    for chunk in upload:
        checked = validate(chunk.records, chunk.failures, table, mode)
        typed.append(checked.rows)
        failures += [chunk.failures, checked.failures]
    rejected = np.unique(np.concatenate([entry["row"].to_numpy() for entry in failures]))
    job = Loading(database_url, table, mode).start()
    with job.postgres() as postgres:
        parts = list(split(lambda: typed, rejected, table, mode, PostgresReferences(postgres, table)))
    with job.store() as store:
        counts = load(
            lambda: [part.rows.filter(pa.array(~part.failed)) for part in parts],
            LoadContext(table, mode, store, IdMaker()),
            columns=upload.columns,
            total_rows=upload.rows,
            batch_rows=150,
        )
    failures += [part.failures for part in parts]
    with job.postgres() as postgres:
        failures += list(load_failures(postgres, job.job_id))
    return counts, Counter(code for entry in failures for code in entry["code"].to_pylist()), expected


def content(database_url: str, table: Table, columns: tuple[str, ...]) -> tuple[int, int]:
    """Return the number of rows and the checksum, computed by the database."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(checksum_sql(table, columns).encode()).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def have_parents(database_url: str, table: Table) -> None:
    """Fill the parents of a table, each with a clean sample."""
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


@pytest.fixture
def related_url(database_url: str) -> str:
    """A database with tables as people have them, filled with clean samples."""
    with psycopg.connect(database_url) as connection:
        connection.execute(create_all().encode())
    return database_url


def test_clean_samples_of_related_tables_are_in_the_database_as_they_were_made(related_url: str) -> None:
    for table in RELATED:
        sample = Sample(table, 100, parents={"related.people": 100}, declared=RELATED)
        counts, codes, expected = bring(related_url, sample, Mode.INSERT_ONLY, Format.CSV)

        assert (counts.inserted, counts.rejected, codes) == (100, 0, Counter()), table.name
        assert content(related_url, table, expected.checksum_columns) == (100, expected.checksum), table.name


@pytest.mark.parametrize(("mode", "format"), [(Mode.INSERT_ONLY, Format.CSV), (Mode.UPSERT, Format.NDJSON)])
def test_bad_samples_of_related_tables_become_exactly_what_they_say(
    related_url: str, format: Format, mode: Mode
) -> None:
    for table in (PEOPLE, ORDERS, LINES):
        sample = Sample(table, 200, bad=BAD, declared=RELATED)
        counts, codes, expected = bring(related_url, sample, mode, format)

        assert (counts.inserted, counts.superseded, counts.rejected, dict(codes)) == (
            expected.inserted,
            expected.superseded,
            expected.rejected,
            expected.codes,
        ), table.name
        rows = (expected.inserted, expected.checksum)
        assert content(related_url, table, expected.checksum_columns) == rows, table.name
