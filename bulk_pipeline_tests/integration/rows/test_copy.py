"""COPY carries every value that a typed column can have."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from bulk_pipeline import tables
from bulk_pipeline.rows import merge_sql
from bulk_pipeline.rows.copy import copy_rows
from bulk_pipeline.rows.staging import staged
from bulk_pipeline.schema.types import codec_of

ARTICLES = tables.get("articles")
NAMES = ("_row", "_forced", "id", "title", "author_id", "tags", "published_at")
SCHEMA = pa.schema(
    [
        ("_row", pa.int64()),
        ("_forced", pa.bool_()),
        *((name, codec_of(ARTICLES.column(name)).arrow) for name in NAMES[2:]),
    ]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ROWS = st.fixed_dictionaries(
    {
        "_row": st.integers(-(2**63), 2**63 - 1),
        "_forced": st.booleans(),
        "id": st.none() | st.uuids().map(str),
        "title": st.none() | TEXTS,
        "author_id": st.uuids().map(str),
        "tags": st.none() | st.lists(st.none() | TEXTS, max_size=4),
        "published_at": st.none() | st.datetimes(timezones=st.just(UTC)),
    }
)


def as_stored(row: dict[str, Any]) -> tuple[object, ...]:
    ids = {name: row[name] and UUID(row[name]) for name in ("id", "author_id")}
    return tuple((row | ids)[name] for name in NAMES)


@given(st.lists(ROWS, max_size=12), st.integers(0, 12), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_copied_rows_are_stored_unchanged(
    database_url: str, given_rows: list[dict[str, Any]], cut: int, in_one_batch: bool
) -> None:
    batch = pa.RecordBatch.from_pylist(given_rows, SCHEMA)
    parts = [batch.slice(0, cut), batch.slice(cut)]
    rows = batch if in_one_batch else pa.Table.from_batches(parts)
    query = sql.SQL("SELECT {} FROM staged").format(sql.SQL(", ").join(map(sql.Identifier, NAMES)))
    with psycopg.connect(database_url) as connection, staged(connection, ARTICLES, NAMES):
        connection.execute("SET LOCAL timezone = 'UTC'")
        copy_rows(connection, merge_sql.STAGED, rows, ARTICLES)
        assert connection.execute(query).fetchall() == [as_stored(row) for row in given_rows]


def test_rows_past_the_first_piece_are_copied_too(database_url: str) -> None:
    rows = pa.table({"_row": pa.array(range(20_001), pa.int64()), "title": ["é"] * 20_001})
    with psycopg.connect(database_url) as connection, staged(connection, ARTICLES, ["_row", "title"]):
        copy_rows(connection, merge_sql.STAGED, rows, ARTICLES)
        result = connection.execute("SELECT count(DISTINCT _row), min(title), max(title) FROM staged")
        assert result.fetchone() == (20_001, "é", "é")


def test_the_last_moment_of_the_calendar_is_copied(database_url: str) -> None:
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    rows = pa.table({"published_at": pa.array(moments, codec_of(ARTICLES.column("published_at")).arrow)})
    with psycopg.connect(database_url) as connection, staged(connection, ARTICLES, ["published_at"]):
        connection.execute("SET LOCAL timezone = 'UTC'")
        copy_rows(connection, merge_sql.STAGED, rows, ARTICLES)
        result = connection.execute("SELECT published_at FROM staged ORDER BY 1")
        assert [row[0] for row in result] == moments
