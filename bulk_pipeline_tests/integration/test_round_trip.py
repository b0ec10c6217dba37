"""Exports imported again give an identical table, for every table and format."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.rows.snapshots import snapshot
from bulk_pipeline.schema import Column, ColumnType, Mode, Table, invisible, select
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline_tests.rigs.examples import uid
from bulk_pipeline_tests.rigs.loading import Loading
from bulk_pipeline_tests.seeds import SEEDS

Row = Mapping[str, Any]

KINDS = [
    pytest.param({"format": Format.CSV}, id="csv"),
    pytest.param(
        {"format": Format.CSV, "for_spreadsheets": True, "compression": Compression.GZIP}, id="spreadsheets"
    ),
    pytest.param({"format": Format.NDJSON, "compression": Compression.ZSTD}, id="ndjson"),
    pytest.param({"format": Format.PARQUET}, id="parquet"),
    pytest.param({"format": Format.TSV}, id="tsv"),
    pytest.param({"format": Format.JSON}, id="json"),
    pytest.param({"format": Format.XLSX}, id="xlsx"),
]

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
# fmt: off
NASTY = st.sampled_from([
    "", " ", " x ", "NULL", '"', '""', ",", ";", "\t", "\n", "\r", "\r\n", "a\nb", "\\", "\\N", "'", "'=1", "=1+1",
    "+46", "-", "@a", "true", "1", "null", "[]", "{}", '["a"]', "é", "\u2028", "\ufeff", "𝔘", "x,_defused", "#", "\x1f",
])
# fmt: on
TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))


def cells(column: Column) -> st.SearchStrategy[Any]:
    """Draw values of the column, except keys."""
    result: st.SearchStrategy[Any]
    match column.type:
        case ColumnType.UUID:
            result = st.just(uid(1))
        case ColumnType.BOOLEAN:
            result = st.booleans()
        case ColumnType.TIMESTAMP:
            result = TIMES
        case ColumnType.TEXT_ARRAY:
            result = st.lists(NASTY | TEXTS, max_size=4)
        case _:
            result = st.sampled_from(column.choices) if column.choices else NASTY | TEXTS
    if column.max_length:
        result = result.filter(lambda text, most=column.max_length: len(text) <= most)
    if column.required and column.type is ColumnType.TEXT:
        result = result.filter(lambda text: not invisible.is_blank(text))
    never_null = column.required or column.generated or column.default is not None
    return result if never_null else st.none() | result


@st.composite
def rows(draw: st.DrawFn, table: Table) -> list[Row]:
    result = []
    for number in range(1, draw(st.integers(1, 20)) + 1):
        row = {column.name: draw(cells(column)) for column in table.columns}
        row["id"] = uid(number + 100)
        keys = {"email": f"u{number}@x.co", "slug": f"a-{number}"}
        result.append(row | {name: key for name, key in keys.items() if name in row})
        if row.get("status") == "draft":
            result[-1]["published_at"] = None
    return result


class RoundTrip:
    """A database with a parent row of each table, and imports into it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.folder = folder
        self.postgres = Postgres(database_url)
        users, articles = (Loading(database_url, name) for name in ("users", "articles"))
        users.have({"id": uid(1), "email": "parent@x.co", "name": "Parent", "role": "admin"})
        articles.have(
            {
                "id": uid(1),
                "slug": "parent",
                "title": "t",
                "body": "b",
                "author_id": uid(1),
                "status": "draft",
            }
        )

    def become(self, table: Table, wanted: Sequence[Row]) -> None:
        """Replace the table's rows by these and the parent."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE id <> %s").format(sql.Identifier(table.name)), [uid(1)]
            )
            for row in wanted:
                names = sql.SQL(", ").join(map(sql.Identifier, row))
                places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
                connection.execute(
                    insert.format(sql.Identifier(table.name), names, places), list(row.values())
                )

    def content(self, table: Table) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            query = sql.SQL("SELECT * FROM {} WHERE id <> %s ORDER BY id").format(sql.Identifier(table.name))
            return connection.execute(query, [uid(1)]).fetchall()

    def exported(self, table: Table, layout: Layout) -> bytes:
        out = io.BytesIO()
        with snapshot(self.database_url, "bulk-pipeline export test") as source:
            write_file(source.rows(select(table, where=[f"id != {uid(1)}"])), layout, out)
        return out.getvalue()

    def load(self, table: Table, mode: Mode, name: str, content: bytes) -> None:
        """Run all steps of an import; no row may be rejected."""
        job = Loading(self.database_url, table.name, mode).start()
        upload = open_upload(io.BytesIO(content), name, table=table, mode=mode)
        work = WorkLocation(self.folder)
        state = import_steps.parse_upload(upload, job.job_id, 1, table, mode, work)
        state = replace(import_steps.validate_rows(state, work), batch_rows=1000)
        store = PostgresRowStore(self.postgres, table, job.job_id, 1)
        known = PostgresKnownRows(store)
        state = import_steps.split_rows(state, PostgresReferences(self.postgres, table), known, work)
        loaded = import_steps.load_rows(state, work, store, known, IdMaker(), lambda _: None)
        assert loaded.good == upload.rows
        assert [
            warning for warning in upload.warnings if "as if UTF-8" not in warning
        ] == []  # any text may look so


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[RoundTrip]:
    result = RoundTrip(database_url, tmp_path)
    yield result
    result.postgres.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", tables.names())
def test_an_export_imports_to_the_same_table(world: RoundTrip, table: str, kind: dict[str, Any]) -> None:
    comes_back(world, tables.get(table), kind, examples=3)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", tables.names())
def test_it_does_for_any_rows_of_the_table(world: RoundTrip, table: str, kind: dict[str, Any]) -> None:
    comes_back(world, tables.get(table), kind, examples=5 * SEEDS)


def kept(row: tuple[Any, ...], there: Sequence[tuple[Any, ...]], table: Table) -> tuple[Any, ...]:
    """Return the row, or the stored one if only `updated_at` differs: an upsert counts it as unchanged."""
    place = next((at for at, name in enumerate(table.column_names) if name == "updated_at"), len(row))

    def rest(one: tuple[Any, ...]) -> tuple[Any, ...]:
        return one[:place] + one[place + 1 :]

    return next((other for other in there if rest(other) == rest(row)), row)


def comes_back(world: RoundTrip, table: Table, kind: dict[str, Any], examples: int) -> None:
    """Check an import in `insert_only` into an empty table, and in `upsert` over rows with some of the keys."""
    layout = Layout(table.columns, **kind)

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(rows(table), rows(table))
    def holds(wanted: list[Row], other: list[Row]) -> None:
        world.become(table, wanted)
        before = world.content(table)
        file = world.exported(table, layout)

        world.become(table, [])
        world.load(table, Mode.INSERT_ONLY, f"x{layout.extension}", file)
        assert world.content(table) == before

        world.become(table, other[: len(wanted)])
        there = world.content(table)
        world.load(table, Mode.UPSERT, f"x{layout.extension}", file)
        assert world.content(table) == [kept(row, there, table) for row in before]

    holds()
