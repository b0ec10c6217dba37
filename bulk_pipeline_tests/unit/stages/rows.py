"""Builds batches like the parser's from the few cells a test needs."""

from collections.abc import Sequence

import pyarrow as pa

from bulk_pipeline.stages.failures import FAILURES

ID = "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70"
OTHER_ID = "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a71"

GOOD: dict[str, dict[str, str | None]] = {
    "customers": {"email": "ann@example.com", "first_name": "Ann", "created_at": "2026-01-31"},
    "users": {"id": ID, "email": "ann@example.com", "name": "Ann", "role": "admin", "active": "yes"},
    "articles": {
        "id": ID,
        "slug": "on-tests",
        "title": "On tests",
        "body": "Read them.",
        "author_id": OTHER_ID,
        "tags": '["a"]',
        "published_at": "2026-01-31T10:00:00Z",
        "status": "published",
    },
    "comments": {"id": f"cm_{ID}", "article_id": OTHER_ID, "user_id": ID, "body": "Well said."},
}
"""A good row of each table."""


def records(rows: Sequence[dict[str, str | None]], first_row: int = 1) -> pa.RecordBatch:
    """Return text records, numbered from `first_row`, each on one line below a header."""
    numbers = pa.array(range(first_row, first_row + len(rows)), pa.int64())
    lines = pa.array(range(first_row + 1, first_row + 1 + len(rows)), pa.int64())
    names = list(rows[0]) if rows else []
    cells = [pa.array([row[name] for row in rows], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays([numbers, lines, *cells], names=["_row", "_line", *names])


def failures(*found: tuple[int, str | None, str]) -> pa.RecordBatch:
    """Return failures for (row, column, code) with arbitrary sentences."""
    rows = [
        {"row": row, "line": row + 1, "column": column, "code": code, "value": None, "message": "broken"}
        for row, column, code in found
    ]
    return pa.RecordBatch.from_pylist(rows, schema=FAILURES)
