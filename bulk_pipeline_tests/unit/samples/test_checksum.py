"""The checksum of a table's content."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.samples.checksum import checksum, checksum_sql
from bulk_pipeline.schema.types import codec_of

ARTICLES = tables.get("articles")
COLUMNS = tuple(map(ARTICLES.column, ("id", "slug", "tags", "published_at")))
ROW = {
    "id": "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70",
    "slug": "on-tests",
    "tags": ["a", "b"],
    "published_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
}


def articles(*changes: dict) -> pa.RecordBatch:
    schema = pa.schema([(column.name, codec_of(column).arrow) for column in COLUMNS])
    return pa.RecordBatch.from_pylist([ROW | change for change in changes], schema=schema)


def test_the_order_of_rows_and_how_they_are_cut_is_nothing_to_it() -> None:
    one, other = {"slug": "one"}, {"slug": "other"}

    whole = checksum(articles(one, other), COLUMNS)

    assert whole == checksum(articles(other, one), COLUMNS)
    parts = checksum(articles(one), COLUMNS) + checksum(articles(other), COLUMNS)
    assert whole == parts % 2**64


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a71"},
        {"slug": "On-tests"},
        {"slug": ""},
        {"slug": None},
        {"tags": ["a,b"]},
        {"tags": ["ab"]},
        {"tags": []},
        {"tags": [""]},
        {"tags": None},
        {"published_at": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)},
        {"published_at": None},
    ],
)
def test_every_difference_counts(change: dict) -> None:
    assert checksum(articles(change), COLUMNS) != checksum(articles({}), COLUMNS)


def test_no_rows_sum_up_to_nothing() -> None:
    assert checksum(articles(), COLUMNS) == 0


def test_the_query_asks_for_the_columns_it_is_given() -> None:
    query = checksum_sql(ARTICLES, ("id", "tags"))

    assert query.startswith("SELECT count(*), mod(")
    assert query.endswith(' FROM "public"."articles"')
    assert '"id"::text' in query
    assert 'array_to_string("tags"' in query
    assert "slug" not in query
