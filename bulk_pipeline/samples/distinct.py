"""Values of keys: each number gives another value of the column, and the same one wherever it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import patterns, words
from bulk_pipeline.samples.draw import Rows, uuids
from bulk_pipeline.schema import Column
from bulk_pipeline.schema.families.numbers import precision_and_scale
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.schema.types.timestamp import INSTANT

FIRST_DAY = 19_723  # 2024-01-01
FIRST_SECOND = 1_704_067_200  # 2024-01-01T00:00:00Z
UNLIMITED = 1 << 62
_LAST_DAY = 2_932_896  # 9999-12-31
_SECONDS_OF_DAY = 86_400
_ROOMY = 20
"""Characters of a text that holds a word before its number."""
_WANTED = 10**12


@dataclass(frozen=True)
class Distinct:
    """`count`: how many values there are. `values`: the value of each number, which is the index of the row."""

    count: int
    values: Callable[[Rows], pa.Array]


def of_uuids(column: Column) -> Distinct:
    return Distinct(UNLIMITED, uuids)


def of_integers(column: Column) -> Distinct:
    arrow = codec_of(column).arrow
    return Distinct((1 << (arrow.bit_width - 1)) - 1, lambda rows: _numbers(rows).cast(arrow))


def of_floats(column: Column) -> Distinct:
    arrow = codec_of(column).arrow
    return Distinct(1 << (24 if arrow.bit_width == 32 else 53), lambda rows: _numbers(rows).cast(arrow))


def of_numerics(column: Column) -> Distinct:
    """Multiples of the smallest number with the digits of the type; whole numbers where it names none."""
    precision, _ = precision_and_scale(column.type.parameters)
    count = UNLIMITED if precision is None else min(10**precision - 1, UNLIMITED)
    return Distinct(count, lambda rows: numerics(column, _numbers(rows)))


def numerics(column: Column, numbers: pa.Array) -> pa.Array:
    """Return integers as multiples of the smallest number that the column's type has digits for."""
    _, scale = precision_and_scale(column.type.parameters)
    texts = numbers.cast(pa.string())
    if scale > 0:
        digits = pc.ascii_lpad(texts, scale + 1, "0")
        whole, fraction = pc.utf8_slice_codeunits(digits, 0, -scale), pc.utf8_slice_codeunits(digits, -scale)
        texts = pc.binary_join_element_wise(whole, fraction, ".")
    elif scale < 0:
        texts = pc.binary_join_element_wise(texts, "0" * -scale, "")
    return codec_of(column).from_text(column, texts).values


def of_booleans(column: Column) -> Distinct:
    return Distinct(2, lambda rows: pa.array(rows.index == 1))


def of_dates(column: Column) -> Distinct:
    return Distinct(
        _LAST_DAY - FIRST_DAY,
        lambda rows: pa.array(FIRST_DAY + rows.index.astype(np.int32)).cast(pa.date32()),
    )


def of_times(column: Column) -> Distinct:
    zone = "+00" if column.type.family.name == "time with time zone" else ""

    def values(rows: Rows) -> pa.Array:
        clock = pa.array(rows.index.astype(np.int32)).cast(pa.time32("s")).cast(pa.string())
        return pc.binary_join_element_wise(clock, zone, "")

    return Distinct(_SECONDS_OF_DAY, values)


def of_instants(column: Column) -> Distinct:
    def values(rows: Rows) -> pa.Array:
        seconds = pa.array(FIRST_SECOND + rows.index.astype(np.int64))
        return pc.multiply(seconds, 1_000_000).cast(INSTANT).cast(codec_of(column).arrow)

    return Distinct((_LAST_DAY - FIRST_DAY) * _SECONDS_OF_DAY, values)


def of_intervals(column: Column) -> Distinct:
    letter = {"year": "Y", "month": "M"}.get(column.type.facts.unit, "D")
    most = (2**31 - 1) // (12 if letter == "Y" else 1)
    return Distinct(most, lambda rows: pc.binary_join_element_wise("P", _number_texts(rows), letter, ""))


def of_bytes(column: Column) -> Distinct:
    def values(rows: Rows) -> pa.Array:
        octets = rows.index.astype(">u8").tobytes()
        return pa.array([octets[at : at + 8] for at in range(0, len(octets), 8)], pa.binary())

    return Distinct(UNLIMITED, values)


def of_documents(column: Column) -> Distinct | None:
    """Numbers; `json` cannot be compared, so that it is never a key."""
    return Distinct(UNLIMITED, _number_texts) if column.type.family.name == "jsonb" else None


def of_choices(column: Column) -> Distinct | None:
    if not column.choices:
        return None
    texts = pa.array(column.choices, pa.string())
    return Distinct(len(column.choices), lambda rows: texts.take(pa.array(rows.index)))


def of_texts(column: Column) -> Distinct | None:
    """Choices, texts of the pattern, or a word and a number; only the number where a short text has no room."""
    if column.choices:
        return of_choices(column)
    if column.pattern is not None:
        found = patterns.texts_of(column.pattern, wanted=_WANTED, max_length=column.max_length, distinct=True)
        return Distinct(found.count, lambda rows: found.nth(rows.index)) if found else None
    if column.max_length is None or column.max_length >= _ROOMY + max(map(len, words.TOPICS)):
        return Distinct(UNLIMITED, _word_and_number)
    return Distinct(min(10**column.max_length - 1, UNLIMITED), _number_texts)


def _word_and_number(rows: Rows) -> pa.Array:
    return pc.binary_join_element_wise(rows.pick(words.TOPICS, "word of a key"), _number_texts(rows), "-")


def _numbers(rows: Rows) -> pa.Array:
    return pa.array(rows.index.astype(np.int64) + 1)


def _number_texts(rows: Rows) -> pa.Array:
    return _numbers(rows).cast(pa.string())
