"""Texts of keys: equal where Postgres holds the cells for equal, and read by Postgres as the cells."""

import pyarrow as pa
import pytest

from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.types import codec_of


def canonical(type_: str, *cells: str) -> list[str]:
    column = Column(name="a", type=column_type.parse(type_))
    read = codec_of(column).from_text(column, pa.array(cells))
    assert read.problems == {}
    return codec_of(column).canonical(column, read.values).to_pylist()


@pytest.mark.parametrize(
    ("type_", "cells", "text"),
    [
        ("numeric", ("1", "1.0", "1.00", "1e0"), "1"),
        ("numeric", ("0.10", "0.1"), "0.1"),
        ("numeric", ("100", "1e2"), "100"),
        ("numeric(12,2)", ("12.5", "12.50"), "12.5"),
        ("numeric(20,10)", ("0.0000001",), "0.0000001"),
        ("double precision", ("0", "-0"), "0"),
        ("character(5)", ("ab", "ab  "), "ab"),
        ("citext", ("Ab", "aB"), "ab"),
        ("interval", ("1 mon", "P30D", "720:00:00"), "P30D"),
        ("timestamp with time zone", ("2026-01-31T01:00+01:00", "2026-01-31"), "2026-01-31 00:00:00.000000Z"),
        ("bytea", ("\\x00AB", "\\x00ab"), "\\x00ab"),
        ("numeric(5,2)[]", ("[1.5]", "[1.50]"), '{"1.5"}'),
        ("text[]", ('["a\\"b"]',), '{"a\\"b"}'),
        ("inet", ("1.2.3.4",), "1.2.3.4"),
        ("smallint", ("7", "+07"), "7"),
    ],
)
def test_equal_cells_have_one_text(type_: str, cells: tuple[str, ...], text: str) -> None:
    assert canonical(type_, *cells) == [text] * len(cells)
