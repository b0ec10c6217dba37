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
