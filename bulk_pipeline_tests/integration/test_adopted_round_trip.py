"""A database as people have it: adopted, exported and imported into emptied tables, it is what it was."""

import io
from pathlib import Path

import openpyxl
import psycopg
import pytest
from psycopg import sql

from bulk_pipeline import tables
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.adoption import adopt
from bulk_pipeline.postgres.catalogue import all_tables
from bulk_pipeline.postgres.table_fit import problems
from bulk_pipeline.rows.snapshots import snapshot
from bulk_pipeline.schema import Table, select
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline.stages.templates import csv_template, workbook_template
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Pipeline

RIGS = Path(__file__).parents[1] / "rigs"
SCHEMAS = ("shop", "depot", "Back Office")


@pytest.fixture
def adopted(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Table]:
    """The tables of the shop and the depot, which a project declares as `adopt` does."""
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    with psycopg.connect(pipeline.stores.database_url) as connection:
        for file in ("shop.sql", "shop_rows.sql", "depot.sql", "depot_rows.sql"):
            connection.execute((RIGS / file).read_bytes())
        role = connection.info.user
        found = [table for schema in SCHEMAS for table in all_tables(connection, role, schema=schema)]
        for table in found:
            adoption = adopt(table, role)
            assert adoption.text is not None, adoption.problem
            text = adoption.text.replace("{type: real}", "{type: real, not_finite: true}")
            (tmp_path / "tables" / f"{adoption.upload_name}.yaml").write_text(text)
    served = tables.serve(tmp_path)
    assert served.problems() == ()
    return list(served.in_load_order())


def content(pipeline: Pipeline, declared: list[Table]) -> dict[str, list[bytes]]:
    """Return the lines that COPY writes, by table and sorted."""
    lines = {}
    with psycopg.connect(pipeline.stores.database_url) as connection:
        for table in declared:
            name = sql.Identifier(table.schema, table.name)
            query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(name)
            with connection.cursor().copy(query) as copy:
                lines[table.upload_name] = sorted(b"".join(map(bytes, copy)).splitlines())
    return lines


def without_rows_of_nulls(pipeline: Pipeline, declared: list[Table]) -> None:
    """Delete the rows that a sheet cannot hold, which an export refuses."""
    with psycopg.connect(pipeline.stores.database_url) as connection:
        for table in declared:
            if table.may_hold_empty_rows:
                columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
                name = sql.Identifier(table.schema, table.name)
                connection.execute(sql.SQL("DELETE FROM {} WHERE num_nonnulls({}) = 0").format(name, columns))


@pytest.mark.parametrize("format_", [Format.CSV, Format.NDJSON, Format.PARQUET, Format.XLSX])
def test_what_is_exported_imports_into_emptied_tables_as_it_was(
    pipeline: Pipeline, adopted: list[Table], format_: Format
) -> None:
    assert problems(pipeline.stores.postgres, adopted) == []
    if format_ is Format.XLSX:
        without_rows_of_nulls(pipeline, adopted)
    before, dropped = content(pipeline, adopted), list[str]()
    with snapshot(pipeline.stores.database_url, "bulk-pipeline export test") as taken:
        for table in adopted:
            file, layout = io.BytesIO(), ExportRequest.of(table.upload_name, format=format_).layout
            write_file(taken.rows(select(table)), layout, file)
            dropped.append(f"{table.upload_name}/insert_only/all{layout.extension}")
            pipeline.drop(dropped[-1], file.getvalue())
    with psycopg.connect(pipeline.stores.database_url) as connection:
        names = sql.SQL(", ").join(sql.Identifier(table.schema, table.name) for table in adopted)
        connection.execute(sql.SQL("TRUNCATE {}").format(names))
    pipeline.claim_as_of_a_while_ago()
    pipeline.work_off()
    jobs = [pipeline.job(key) for key in dropped]
    assert {job.table: (job.status, job.error, job.failure_counts) for job in jobs} == {
        table.upload_name: (Status.COMPLETED, None, {}) for table in adopted
    }
    assert content(pipeline, adopted) == before


@pytest.mark.usefixtures("adopted")
def test_a_cell_of_a_template_that_stays_empty_gets_the_default(pipeline: Pipeline) -> None:
    customers = tables.get("shop.customers")
    csv, book = csv_template(customers), openpyxl.load_workbook(io.BytesIO(workbook_template(customers)))
    assert csv == b"email,name,mood,moods,address,referrer\n"
    csv += b"csv@example.com,Ada,,,,\nhappy@example.com,Ada,happy,,,\n"
    book.worksheets[0].append(["xlsx@example.com", "Ada"])
    workbook = io.BytesIO()
    book.save(workbook)
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("ALTER TABLE shop.customers ALTER id RESTART WITH 1000")
    for key, content in {"filled.csv": csv, "filled.xlsx": workbook.getvalue()}.items():
        job = pipeline.load(f"shop.customers/{key}", content)
        assert (job.status, job.error, job.failure_counts) == (Status.COMPLETED, None, {})
    assert pipeline.query(
        "SELECT email, mood::text FROM shop.customers WHERE email LIKE '%@example.com' AND name = 'Ada' ORDER BY email"
    ) == [("csv@example.com", "ok"), ("happy@example.com", "happy"), ("xlsx@example.com", "ok")]
