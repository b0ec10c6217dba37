"""Whole columns of cells as Arrow arrays: one codec per family of column types, in a module of its own."""

from collections.abc import Callable
from functools import cache

import pyarrow as pa

from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.families.others import OTHERS, OWN
from bulk_pipeline.schema.types.array import ArrayCodec
from bulk_pipeline.schema.types.boolean import BooleanCodec
from bulk_pipeline.schema.types.bytea import ByteaCodec
from bulk_pipeline.schema.types.codec import Codec, TypedColumn
from bulk_pipeline.schema.types.date import DateCodec
from bulk_pipeline.schema.types.float import FloatCodec
from bulk_pipeline.schema.types.integer import IntegerCodec
from bulk_pipeline.schema.types.interval import IntervalCodec
from bulk_pipeline.schema.types.json import JsonCodec
from bulk_pipeline.schema.types.numeric import NumericCodec
from bulk_pipeline.schema.types.opaque import OpaqueCodec
from bulk_pipeline.schema.types.text import TextCodec
from bulk_pipeline.schema.types.text_array import TextArrayCodec
from bulk_pipeline.schema.types.time import TimeCodec, ZonedTimeCodec
from bulk_pipeline.schema.types.timestamp import FIRST_INSTANT, LAST_INSTANT, TimestampCodec
from bulk_pipeline.schema.types.uuid import UuidCodec

CODECS: dict[str, Callable[[Column], Codec]] = {
    "smallint": lambda column: IntegerCodec(pa.int16()),
    "integer": lambda column: IntegerCodec(pa.int32()),
    "bigint": lambda column: IntegerCodec(pa.int64()),
    "numeric": NumericCodec,
    "real": lambda column: FloatCodec(pa.float32()),
    "double precision": lambda column: FloatCodec(pa.float64()),
    "uuid": lambda column: UuidCodec(),
    **dict.fromkeys(
        ("text", "character varying", "character", "bpchar", "citext"), lambda column: TextCodec()
    ),
    "boolean": lambda column: BooleanCodec(),
    "date": lambda column: DateCodec(),
    "time without time zone": lambda column: TimeCodec(),
    "time with time zone": lambda column: ZonedTimeCodec(),
    "timestamp without time zone": lambda column: TimestampCodec(zone=""),
    "timestamp with time zone": lambda column: TimestampCodec(),
    "interval": lambda column: IntervalCodec(),
    "text[]": lambda column: _array(column),
    "array": lambda column: _array(column),
    "json": lambda column: JsonCodec(column.type),
    "jsonb": lambda column: JsonCodec(column.type),
    "bytea": lambda column: ByteaCodec(),
    OWN.name: OpaqueCodec,
    **{family.name: OpaqueCodec for family in OTHERS},
}
"""By the name of a family of types, what makes the codec of a column of one of its types."""

__all__ = ["CODECS", "FIRST_INSTANT", "LAST_INSTANT", "Codec", "TypedColumn", "codec_of"]


@cache
def codec_of(column: Column) -> Codec:
    return CODECS[column.type.family.name](column)


def _array(column: Column) -> Codec:
    """An array of texts without NULL is the usual one, and has a codec that is faster."""
    type_ = column.type
    if type_ is ColumnType.TEXT_ARRAY and not column.null_elements:
        return TextArrayCodec()
    element = Column(
        name=column.name,
        type=type_.element or ColumnType.TEXT,
        round=column.round,
        not_finite=column.not_finite,
        base64=column.base64,
    )
    return ArrayCodec(column, codec_of(element), element)
