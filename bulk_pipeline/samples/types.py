"""Sample cells of each column type, one object per type: good values, how files write them, and wrong cells."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import words
from bulk_pipeline.samples.draw import Rows, uuids
from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.families.others import OTHERS, OWN, example_of
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.schema.types.timestamp import INSTANT
from bulk_pipeline.stages.failures import Code, FailureCode

BETWEEN_TEXTS = "\x1e"
"""The separator of an array's texts in a checksum."""

_FIRST_DAY = 19_723  # 2024-01-01
_FIRST_SECOND = 1_704_067_200  # 2024-01-01T00:00:00Z
_SECONDS = 2 * 365 * 86_400
_TRUE_WORDS = ("true", "true", "true", "TRUE", "1", "yes")
_FALSE_WORDS = ("false", "false", "no", "0")
_SENTENCES = pa.array(
    [
        f"{subject[0].upper()}{subject[1:]} {verb} {thing}."
        for subject in words.SUBJECTS
        for verb in words.VERBS
        for thing in words.OBJECTS
    ]
)


@dataclass(frozen=True, kw_only=True)
class TypeSample:
    """Samples of one type.

    `values`: typed cells that fit the column's declaration, if it has no pattern. `texts`: how a file may write typed
    cells. `wrong`: defects, each with a name, the failure code and the text of the cell.
    `json_literal`: a pattern for texts that JSON holds without quotes; None if it quotes all of them.
    `checksum_sql`: the text of a cell, whose name stands for `{0}`, as `samples.checksum` makes it.
    """

    values: Callable[[Column, Rows], pa.Array]
    texts: Callable[[Column, pa.Array, Rows], pa.Array]
    wrong: tuple[tuple[str, FailureCode, str], ...]
    checksum_sql: str
    json_literal: str | None = None


def sentence(rows: Rows, place: int) -> pa.Array:
    return _SENTENCES.take(pa.array(rows.below(len(_SENTENCES), f"sentence {place}")))


def topics(rows: Rows) -> pa.Array:
    """NULL, none, or up to three different topics."""
    count = rows.below(5, "tags")
    start = rows.below(len(words.TOPICS), "first tag")
    lengths = np.maximum(count - 1, 0)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    nth = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    places = (np.repeat(start, lengths) + 5 * nth) % len(words.TOPICS)
    texts = pa.array(words.TOPICS).take(pa.array(places))
    return pa.ListArray.from_arrays(pa.array(ends), texts, mask=pa.array(count == 0))


def instants(rows: Rows, purpose: str) -> pa.Array:
    """Some with parts of a second."""
    micros = rows.below(1_000_000, f"{purpose} micros") * rows.chance(10, f"{purpose} precise")
    seconds = _FIRST_SECOND + rows.below(_SECONDS, purpose)
    return pa.array(seconds * 1_000_000 + micros).cast(INSTANT)


def _ids(column: Column, rows: Rows) -> pa.Array:
    return uuids(Rows(rows.seed, f"{rows.table}.{column.name}", rows.index))


def _id_texts(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    if column.prefix is None:
        return cells
    prefix = pc.if_else(pa.array(rows.chance(50, f"{column.name} prefix")), column.prefix, "")
    return pc.binary_join_element_wise(prefix, cells, "")


def _texts(column: Column, rows: Rows) -> pa.Array:
    if column.choices:
        return rows.pick(column.choices, column.name)
    return pc.utf8_slice_codeunits(sentence(rows, 0), 0, column.max_length or 1000)


def _as_they_are(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    return cells


def _booleans(column: Column, rows: Rows) -> pa.Array:
    return pa.array(rows.chance(80, column.name))


def _boolean_texts(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    said = f"{column.name} word"
    return pc.if_else(cells, rows.pick(_TRUE_WORDS, said), rows.pick(_FALSE_WORDS, said))


def _instants(column: Column, rows: Rows) -> pa.Array:
    """Whole seconds where the type says how many digits of a second it keeps."""
    found = instants(rows, column.name)
    return pc.floor_temporal(found, unit="second") if column.type.parameters else found


def _instant_texts(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    """Most in UTC; some two hours to the east."""
    elsewhere = rows.chance(10, f"{column.name} offset")
    shift = pa.array(np.where(elsewhere, 2 * 3600 * 1_000_000, 0))
    local = pc.add(cells.cast(pa.int64()), shift).cast(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(pc.replace_substring(local, " ", "T"), ".000000", "")
    return pc.binary_join_element_wise(text, pc.if_else(pa.array(elsewhere), "+02:00", "Z"), "")


def _topics(column: Column, rows: Rows) -> pa.Array:
    return topics(rows)


def _json_arrays(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    quoted = pc.binary_join_element_wise('["', pc.binary_join(cells, '","'), '"]', "")
    return pc.if_else(pc.equal(pc.list_value_length(cells), 0), "[]", quoted)


def _usual_texts(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    return codec_of(column).to_text(column, cells)


def _integers(column: Column, rows: Rows) -> pa.Array:
    return pa.array(rows.below(60_000, column.name) - 30_000).cast(codec_of(column).arrow)


def _hundreds(column: Column, rows: Rows) -> pa.Array:
    """Whole hundreds, which fit every `numeric`."""
    texts = pa.array(rows.below(2_000, column.name) * 100 - 99_900).cast(pa.string())
    return codec_of(column).from_text(column, texts).values


def _eighths(column: Column, rows: Rows) -> pa.Array:
    return pa.array((rows.below(1_000_000, column.name) - 500_000) / 8).cast(codec_of(column).arrow)


def _arrays(column: Column, rows: Rows) -> pa.Array:
    """None, one or two elements, in the last of the dimensions."""
    element = Column(name=column.name, type=column.type.element or ColumnType.TEXT)
    elements = sample_of(element).values(element, rows)
    lengths = rows.below(2, f"{column.name} length")
    lists = pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), elements)
    for _ in range(column.type.dimensions - 1):
        lists = pa.ListArray.from_arrays(
            pa.array(np.append(0, np.cumsum(lengths > 0)), pa.int32()), lists.filter(pa.array(lengths > 0))
        )
    return lists


_TEXT = TypeSample(
    values=_texts,
    texts=_as_they_are,
    wrong=(("with a NUL", Code.BAD_ENCODING, "a\0b"),),
    checksum_sql='"{0}"::text',
)
_OPAQUE = TypeSample(
    values=lambda column, rows: pa.repeat(example_of(column.type.family.name), len(rows.index)),
    texts=_as_they_are,
    wrong=(("with a NUL", Code.BAD_ENCODING, "a\0b"),),
    checksum_sql='"{0}"::text',
)
_JSON = TypeSample(
    values=lambda column, rows: rows.pick(['{"a": 1}', '[1, "b"]', '"text"', "12.50", "{}"], column.name),
    texts=_as_they_are,
    wrong=(("no JSON", Code.BAD_TYPE, "{a: 1}"), ("no value of JSON", Code.BAD_TYPE, "NaN")),
    checksum_sql='"{0}"::text',
    json_literal=r"\A",
)
_INTEGER = TypeSample(
    values=_integers,
    texts=_usual_texts,
    wrong=(
        ("no whole number", Code.BAD_TYPE, "12.5"),
        ("hexadecimal", Code.BAD_TYPE, "0x1F"),
        ("out of range", Code.OUT_OF_RANGE, "9223372036854775808"),
    ),
    checksum_sql='"{0}"::text',
    json_literal=r"\A-?\d+\z",
)
_FLOAT = TypeSample(
    values=_eighths,
    texts=_usual_texts,
    wrong=(
        ("with a decimal comma", Code.BAD_TYPE, "12,5"),
        ("not a number", Code.BAD_TYPE, "NaN"),
        ("out of range", Code.OUT_OF_RANGE, "1e999"),
    ),
    checksum_sql='"{0}"::text',
    json_literal=r"\A-?\d+(\.\d+)?\z",
)

SAMPLES: dict[str, TypeSample] = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": TypeSample(
        values=_hundreds,
        texts=_usual_texts,
        wrong=(
            ("with a decimal comma", Code.BAD_TYPE, "12,5"),
            ("with marks between thousands", Code.BAD_TYPE, "1_000"),
            ("not a number", Code.BAD_TYPE, "NaN"),
            ("out of range", Code.OUT_OF_RANGE, "1e200000"),
        ),
        checksum_sql='"{0}"::text',
        json_literal=r"\A-?\d+(\.\d+)?\z",
    ),
    **dict.fromkeys(("character varying", "character", "bpchar", "citext"), _TEXT),
    "date": TypeSample(
        values=lambda column, rows: (
            pa.array(_FIRST_DAY + rows.below(700, column.name)).cast(pa.int32()).cast(pa.date32())
        ),
        texts=_usual_texts,
        wrong=(
            ("no day", Code.BAD_TYPE, "2023-02-29"),
            ("in another order", Code.BAD_TYPE, "31.01.2026"),
            ("out of range", Code.OUT_OF_RANGE, "0000-01-01"),
        ),
        checksum_sql='"{0}"::text',
    ),
    "time without time zone": TypeSample(
        values=lambda column, rows: rows.pick(
            ["00:00:00", "12:30:00", "23:59:59.5", "24:00:00"], column.name
        ),
        texts=_usual_texts,
        wrong=(
            ("no time", Code.BAD_TYPE, "12:60"),
            ("with an offset", Code.BAD_TYPE, "12:30+02"),
            ("too precise", Code.BAD_TYPE, "12:30:00.1234567"),
        ),
        checksum_sql='"{0}"::text',
    ),
    "time with time zone": TypeSample(
        values=lambda column, rows: rows.pick(
            ["00:00:00+00", "12:30:00+05:30", "23:59:59.5-08"], column.name
        ),
        texts=_usual_texts,
        wrong=(("no time", Code.BAD_TYPE, "12:30+16"),),
        checksum_sql='"{0}"::text',
    ),
    "timestamp without time zone": TypeSample(
        values=lambda column, rows: _instants(column, rows).cast(pa.timestamp("us")),
        texts=_usual_texts,
        wrong=(
            ("no timestamp", Code.BAD_TYPE, "2024-02-30T12:00:00"),
            ("with an offset", Code.BAD_TYPE, "2024-02-03T12:00:00Z"),
            ("out of range", Code.OUT_OF_RANGE, "12024-02-03T12:00:00"),
        ),
        checksum_sql='(extract(epoch FROM "{0}") * 1000000)::bigint::text',
    ),
    "interval": TypeSample(
        values=lambda column, rows: rows.pick(["PT0S", "P1Y2M3DT4H5M6.5S", "P-1D", "PT-0.5S"], column.name),
        texts=_usual_texts,
        wrong=(
            ("no length of time", Code.BAD_TYPE, "a while"),
            ("out of range", Code.OUT_OF_RANGE, "P2147483648D"),
        ),
        checksum_sql='"{0}"::text',
    ),
    "json": _JSON,
    "jsonb": _JSON,
    "bytea": TypeSample(
        values=lambda column, rows: rows.pick(["", "a", "bytes"], column.name).cast(pa.binary()),
        texts=_usual_texts,
        wrong=(("no bytes", Code.BAD_TYPE, "00ff"), ("half a byte", Code.BAD_TYPE, "\\x0")),
        checksum_sql='"{0}"::text',
    ),
    "array": TypeSample(
        values=_arrays,
        texts=_usual_texts,
        wrong=(("no array", Code.BAD_TYPE, "{1,2}"), ("not closed", Code.BAD_TYPE, "[1")),
        checksum_sql='array_to_json("{0}"::text[])::text',
        json_literal=r"\A\[",
    ),
    OWN.name: _OPAQUE,
    **{family.name: _OPAQUE for family in OTHERS},
    "real": _FLOAT,
    "double precision": _FLOAT,
    "uuid": TypeSample(
        values=_ids,
        texts=_id_texts,
        wrong=(("no uuid", Code.BAD_TYPE, "12345"),),
        checksum_sql='"{0}"::text',
    ),
    "text": _TEXT,
    "boolean": TypeSample(
        values=_booleans,
        texts=_boolean_texts,
        wrong=(("no boolean", Code.BAD_TYPE, "maybe"),),
        checksum_sql="CASE WHEN \"{0}\" THEN 't' ELSE 'f' END",
        json_literal=r"\A(true|false)\z",
    ),
    "timestamp with time zone": TypeSample(
        values=_instants,
        texts=_instant_texts,
        wrong=(
            ("no timestamp", Code.BAD_TYPE, "2024-02-30T12:00:00Z"),
            ("out of range", Code.OUT_OF_RANGE, "12024-02-03T12:00:00Z"),
        ),
        checksum_sql='(extract(epoch FROM "{0}") * 1000000)::bigint::text',
    ),
    "text[]": TypeSample(
        values=_topics,
        texts=_json_arrays,
        wrong=(("no array", Code.BAD_TYPE, "news, old"),),
        checksum_sql=(
            f'cardinality("{{0}}")::text || chr({ord(BETWEEN_TEXTS)}) '
            f'|| array_to_string("{{0}}", chr({ord(BETWEEN_TEXTS)}))'
        ),
        json_literal=r"\A\[",
    ),
}
"""By the name of a family of types."""


def sample_of(column: Column) -> TypeSample:
    return SAMPLES[column.type.family.name]
