"""The Arrow types of typed columns: what a column's cells are between validation and the database."""

import pyarrow as pa

from bulk_pipeline.schema.column import ColumnType

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.UUID: pa.string(),  # canonical: lower case, hyphens, no prefix
    ColumnType.TEXT: pa.string(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.TEXT_ARRAY: pa.list_(pa.string()),
}

FIRST_INSTANT = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z in microseconds: times before it, and after the last, are no values of ours."""
LAST_INSTANT = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds."""
