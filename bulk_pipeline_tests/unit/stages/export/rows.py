"""Typed rows as from the database, for the tests of `stages.export`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pyarrow as pa

from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout

NEW_YEAR = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
COLUMNS = (
    Column(name="id", type=ColumnType.UUID, prefix="cm_"),
    Column(name="owner", type=ColumnType.UUID),
    Column(name="name"),
    Column(name="active", type=ColumnType.BOOLEAN),
    Column(name="tags", type=ColumnType.TEXT_ARRAY),
    Column(name="made_at", type=ColumnType.TIMESTAMP),
)


def layout(
    format_: Format, *columns: str, compression: Compression = Compression.NONE, **kwargs: Any
) -> Layout:
    """Return the layout of the named columns, or of all."""
    chosen = tuple(column for column in COLUMNS if not columns or column.name in columns)
    return Layout(chosen, format_, compression, **kwargs)


def batch(columns: tuple[Column, ...], *rows: Mapping[str, Any]) -> pa.RecordBatch:
    """Return a batch of rows; missing cells are NULL, and ids may be numbers."""
    schema = pa.schema(
        [(c.name, pa.uuid() if c.type is ColumnType.UUID else codec_of(c).arrow) for c in columns]
    )
    ids = {column.name for column in columns if column.type is ColumnType.UUID}
    plain = [
        {name: UUID(int=v).bytes if name in ids and isinstance(v, int) else v for name, v in row.items()}
        for row in rows
    ]
    return pa.RecordBatch.from_pylist([dict.fromkeys(schema.names) | row for row in plain], schema=schema)
