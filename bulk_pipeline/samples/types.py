"""Sample cells of each column type, one object per type: good values, how files write them, and wrong cells."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import distinct, patterns, ranges, words
from bulk_pipeline.samples.distinct import FIRST_DAY, FIRST_SECOND, Distinct
from bulk_pipeline.samples.draw import Rows, uuids
from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.families.arrays import ARRAY
from bulk_pipeline.schema.families.numbers import precision_and_scale
from bulk_pipeline.schema.families.others import OTHERS, OWN, example_of
from bulk_pipeline.schema.families.times import Interval, read_interval
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.schema.types.timestamp import INSTANT
from bulk_pipeline.stages.failures import Code, FailureCode

BETWEEN_TEXTS = "\x1e"
"""The separator of an array's texts in a checksum."""

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


def _checksum_text(column: Column, cells: pa.Array) -> pa.Array:
    return cells if pa.types.is_string(cells.type) else cells.cast(pa.string())


@dataclass(frozen=True, kw_only=True)
class TypeSample:
    """Samples of one type.

    `values`: typed cells that fit the column's declaration, if it has no pattern. `texts`: how a file may write typed
    cells. `wrong`: defects, each with a name, the failure code and the text of the cell.
    `json_literal`: a pattern for texts that JSON holds without quotes; None if it quotes all of them.
    `distinct`: values that differ from each other, for keys; None if there are none.
    `problem`: why there are no `values` for a column, for people; None if there are.
    `checksum_text`: the texts of cells in a checksum. `checksum_sql`: the same of a cell whose name stands for `{0}`.
    """

    values: Callable[[Column, Rows], pa.Array]
    texts: Callable[[Column, pa.Array, Rows], pa.Array]
    wrong: tuple[tuple[str, FailureCode, str], ...]
    checksum_sql: str
    checksum_text: Callable[[Column, pa.Array], pa.Array] = _checksum_text
    distinct: Callable[[Column], Distinct | None] = lambda column: None
    problem: Callable[[Column], str | None] = lambda column: None
    json_literal: str | None = None


def sentence(rows: Rows, place: int | str) -> pa.Array:
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
    seconds = FIRST_SECOND + rows.below(_SECONDS, purpose)
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
    if column.pattern is not None and (texts := _pattern_texts(column)) is not None:
        return texts.nth(rows.draw(column.name) % np.uint64(texts.count))
    texts = sentence(rows, column.name)
    if column.max_words is not None:
        texts = pc.replace_substring_regex(texts, rf"\A(\S+(?: \S+){{0,{column.max_words - 1}}}).*\z", r"\1")
    return pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(texts, 0, column.max_length or 1000))


@cache
def _pattern_texts(column: Column) -> patterns.PatternTexts | None:
    assert column.pattern is not None
    return patterns.texts_of(column.pattern, wanted=1000, max_length=column.max_length, distinct=False)


def _problem_of_texts(column: Column) -> str | None:
    if column.choices or column.pattern is None or _pattern_texts(column) is not None:
        return None
    return f"no text is found that matches its pattern {column.pattern}"


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
    return pa.array(rows.below(30_000, column.name)).cast(codec_of(column).arrow)


def _numerics(column: Column, rows: Rows) -> pa.Array:
    """Numbers with all the digits that the type has after the point, and few before it."""
    precision, scale = precision_and_scale(column.type.parameters)
    digits = 6 if precision is None else min(precision, max(scale, 0) + 4, 18)
    return distinct.numerics(column, pa.array(rows.below(10**digits, column.name)))


def _eighths(column: Column, rows: Rows) -> pa.Array:
    return pa.array(rows.below(1_000_000, column.name) / 8).cast(codec_of(column).arrow)


def _picked(*texts: str) -> Callable[[Column, Rows], pa.Array]:
    """Return a function that picks texts; whole seconds where the type says how many digits of a second it keeps."""
    return lambda column, rows: rows.pick(
        [text for text in texts if not (column.type.parameters and "." in text)], column.name
    )


def _intervals(column: Column, rows: Rows) -> pa.Array:
    unit = column.type.facts.unit
    if not unit:
        return _picked("PT0S", "P1Y2M3DT4H5M6.5S", "P-1D", "PT-0.5S")(column, rows)
    known = [(text, read_interval(text)) for text in ("PT0S", "P1Y", "P-2M", "P4D", "PT-5H", "PT6M", "PT7S")]
    whole = [text for text, found in known if isinstance(found, Interval) and found.is_whole(unit)]
    return rows.pick(whole, column.name)


def _documents(column: Column, rows: Rows) -> pa.Array:
    """Objects as `jsonb` writes them, and some documents of other kinds."""
    gift = pc.if_else(pa.array(rows.chance(10, f"{column.name} gift")), "true", "false")
    source = rows.pick(["app", "phone", "web"], f"{column.name} source")
    quantity = pa.array(rows.below(100, f"{column.name} quantity")).cast(pa.string())
    objects = pc.binary_join_element_wise(
        '{"gift": ', gift, ', "source": "', source, '", "quantity": ', quantity, "}", ""
    )
    others = rows.pick(["{}", '[1, "b"]', '"text"', "12.50"], f"{column.name} other")
    return pc.if_else(pa.array(rows.chance(5, f"{column.name} kind")), others, objects)


def _own_values(column: Column, rows: Rows) -> pa.Array:
    if column.choices:
        return rows.pick(column.choices, column.name)
    family, parameters = column.type.family.name, column.type.parameters
    example = example_of(family)
    if family == "bit":
        example *= parameters[0] if parameters else 1
    elif family == "bit varying":
        example = example[: parameters[0] if parameters else None]
    return pa.repeat(example, len(rows.index))


def _problem_of_own(column: Column) -> str | None:
    if column.choices or column.type.family is not OWN:
        return None
    return f"nothing is known about values of its type {column.type}: declare `choices`"


def _problem_of_elements(column: Column) -> str | None:
    element = _element(column)
    return sample_of(element).problem(element)


def _element(column: Column) -> Column:
    return Column(name=column.name, type=column.type.element or ColumnType.TEXT)


def _arrays(column: Column, rows: Rows) -> pa.Array:
    """None or one element, in the last of the dimensions."""
    element = _element(column)
    lengths = rows.below(2, f"{column.name} length")
    chosen = pa.array(lengths > 0)
    lists = sample_of(element).values(element, rows).filter(chosen)
    for _ in range(column.type.dimensions - 1):
        lists = pa.ListArray.from_arrays(pa.array(np.arange(len(lists) + 1), pa.int32()), lists)
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), lists)


def _array_checksum_texts(column: Column, cells: pa.Array) -> pa.Array:
    """Return the number of elements, and their texts, in the order in which `unnest` returns them."""
    element, leaves, ends = _element(column), cells, np.arange(len(cells) + 1)
    while pa.types.is_list(leaves.type):
        lengths = pc.fill_null(pc.list_value_length(leaves), 0).to_numpy(zero_copy_only=False)
        leaves, ends = leaves.flatten(), np.append(0, np.cumsum(lengths))[ends]
    texts = sample_of(element).checksum_text(element, leaves)
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), texts)
    return pc.if_else(cells.is_valid(), _joined_elements(pc.list_value_length(lists), lists), None)


def _joined_elements(lengths: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(
        lengths.cast(pa.string()), pc.binary_join(texts, BETWEEN_TEXTS), BETWEEN_TEXTS
    )


def _microseconds(column: Column, cells: pa.Array) -> pa.Array:
    return cells.cast(pa.int64()).cast(pa.string())


def _interval_parts(column: Column, cells: pa.Array) -> pa.Array:
    known = cells.dictionary_encode()
    words = [read_interval(word) for word in known.dictionary.to_pylist()]
    texts = [f"{i.months} {i.days} {i.microseconds}" if isinstance(i, Interval) else None for i in words]
    return pa.DictionaryArray.from_arrays(known.indices, pa.array(texts, pa.string())).dictionary_decode()


_TEXT = TypeSample(
    values=_texts,
    problem=_problem_of_texts,
    distinct=distinct.of_texts,
    texts=_as_they_are,
    wrong=(("with a NUL", Code.BAD_ENCODING, "a\0b"),),
    checksum_sql="{0}::text",
)
_OPAQUE = TypeSample(
    values=_own_values,
    problem=_problem_of_own,
    distinct=distinct.of_choices,
    texts=_as_they_are,
    wrong=(("with a NUL", Code.BAD_ENCODING, "a\0b"),),
    checksum_sql="{0}::text",
)
_JSON = TypeSample(
    values=_documents,
    distinct=distinct.of_documents,
    texts=_as_they_are,
    wrong=(("no JSON", Code.BAD_TYPE, "{a: 1}"), ("no value of JSON", Code.BAD_TYPE, "NaN")),
    checksum_sql="{0}::text",
    json_literal=r"\A",
)
_INTEGER = TypeSample(
    values=_integers,
    distinct=distinct.of_integers,
    texts=_usual_texts,
    wrong=(
        ("no whole number", Code.BAD_TYPE, "12.5"),
        ("hexadecimal", Code.BAD_TYPE, "0x1F"),
        ("out of range", Code.OUT_OF_RANGE, "9223372036854775808"),
    ),
    checksum_sql="{0}::text",
    json_literal=r"\A-?\d+\z",
)
_FLOAT = TypeSample(
    values=_eighths,
    distinct=distinct.of_floats,
    texts=_usual_texts,
    wrong=(
        ("with a decimal comma", Code.BAD_TYPE, "12,5"),
        ("not a number", Code.BAD_TYPE, "NaN"),
        ("out of range", Code.OUT_OF_RANGE, "1e999"),
    ),
    checksum_sql="{0}::text",
    json_literal=r"\A-?\d+(\.\d+)?\z",
)

SAMPLES: dict[str, TypeSample] = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": TypeSample(
        values=_numerics,
        distinct=distinct.of_numerics,
        texts=_usual_texts,
        wrong=(
            ("with a decimal comma", Code.BAD_TYPE, "12,5"),
            ("with marks between thousands", Code.BAD_TYPE, "1_000"),
            ("not a number", Code.BAD_TYPE, "NaN"),
            ("out of range", Code.OUT_OF_RANGE, "1e200000"),
        ),
        checksum_sql="{0}::text",
        json_literal=r"\A-?\d+(\.\d+)?\z",
    ),
    **dict.fromkeys(("character varying", "character", "bpchar", "citext"), _TEXT),
    "date": TypeSample(
        values=lambda column, rows: (
            pa.array(FIRST_DAY + rows.below(700, column.name)).cast(pa.int32()).cast(pa.date32())
        ),
        distinct=distinct.of_dates,
        texts=_usual_texts,
        wrong=(
            ("no day", Code.BAD_TYPE, "2023-02-29"),
            ("in another order", Code.BAD_TYPE, "31.01.2026"),
            ("out of range", Code.OUT_OF_RANGE, "0000-01-01"),
        ),
        checksum_sql="{0}::text",
    ),
    "time without time zone": TypeSample(
        values=_picked("00:00:00", "12:30:00", "23:59:59.5", "24:00:00"),
        distinct=distinct.of_times,
        texts=_usual_texts,
        wrong=(
            ("no time", Code.BAD_TYPE, "12:60"),
            ("with an offset", Code.BAD_TYPE, "12:30+02"),
            ("too precise", Code.BAD_TYPE, "12:30:00.1234567"),
        ),
        checksum_sql="{0}::text",
    ),
    "time with time zone": TypeSample(
        values=_picked("00:00:00+00", "12:30:00+05:30", "23:59:59.5-08"),
        distinct=distinct.of_times,
        texts=_usual_texts,
        wrong=(("no time", Code.BAD_TYPE, "12:30+16"),),
        checksum_sql="{0}::text",
    ),
    "timestamp without time zone": TypeSample(
        values=lambda column, rows: _instants(column, rows).cast(pa.timestamp("us")),
        distinct=distinct.of_instants,
        texts=_usual_texts,
        wrong=(
            ("no timestamp", Code.BAD_TYPE, "2024-02-30T12:00:00"),
            ("with an offset", Code.BAD_TYPE, "2024-02-03T12:00:00Z"),
            ("out of range", Code.OUT_OF_RANGE, "12024-02-03T12:00:00"),
        ),
        checksum_sql="(extract(epoch FROM {0}) * 1000000)::bigint::text",
        checksum_text=_microseconds,
    ),
    "interval": TypeSample(
        values=_intervals,
        distinct=distinct.of_intervals,
        texts=_usual_texts,
        wrong=(
            ("no length of time", Code.BAD_TYPE, "a while"),
            ("out of range", Code.OUT_OF_RANGE, "P2147483648D"),
        ),
        checksum_sql=(
            "(extract(year FROM {0}) * 12 + extract(month FROM {0}))::bigint || ' ' || extract(day FROM {0})::bigint"
            " || ' ' || ((extract(hour FROM {0}) * 60 + extract(minute FROM {0})) * 60000000"
            " + extract(microseconds FROM {0}))::bigint"
        ),
        checksum_text=_interval_parts,
    ),
    "json": _JSON,
    "jsonb": _JSON,
    "bytea": TypeSample(
        values=lambda column, rows: rows.pick(["", "a", "bytes"], column.name).cast(pa.binary()),
        distinct=distinct.of_bytes,
        checksum_text=lambda column, cells: codec_of(column).to_literal(column, cells),
        texts=_usual_texts,
        wrong=(("no bytes", Code.BAD_TYPE, "00ff"), ("half a byte", Code.BAD_TYPE, "\\x0")),
        checksum_sql="{0}::text",
    ),
    "array": TypeSample(
        values=_arrays,
        problem=_problem_of_elements,
        texts=_usual_texts,
        wrong=(("no array", Code.BAD_TYPE, "{1,2}"), ("not closed", Code.BAD_TYPE, "[1")),
        checksum_sql="",  # it follows from that of the elements, see `cell_sql`
        checksum_text=_array_checksum_texts,
        json_literal=r"\A\[",
    ),
    OWN.name: _OPAQUE,
    **{family.name: _OPAQUE for family in OTHERS},
    "money": replace(_OPAQUE, checksum_sql="{0}::numeric::text"),
    "real": _FLOAT,
    "double precision": _FLOAT,
    "uuid": TypeSample(
        values=_ids,
        distinct=distinct.of_uuids,
        texts=_id_texts,
        wrong=(("no uuid", Code.BAD_TYPE, "12345"),),
        checksum_sql="{0}::text",
    ),
    "text": _TEXT,
    "boolean": TypeSample(
        values=_booleans,
        distinct=distinct.of_booleans,
        texts=_boolean_texts,
        wrong=(("no boolean", Code.BAD_TYPE, "maybe"),),
        checksum_sql="CASE WHEN {0} THEN 't' ELSE 'f' END",
        checksum_text=lambda column, cells: pc.if_else(cells, "t", "f"),
        json_literal=r"\A(true|false)\z",
    ),
    "timestamp with time zone": TypeSample(
        values=_instants,
        distinct=distinct.of_instants,
        texts=_instant_texts,
        wrong=(
            ("no timestamp", Code.BAD_TYPE, "2024-02-30T12:00:00Z"),
            ("out of range", Code.OUT_OF_RANGE, "12024-02-03T12:00:00Z"),
        ),
        checksum_sql="(extract(epoch FROM {0}) * 1000000)::bigint::text",
        checksum_text=_microseconds,
    ),
    "text[]": TypeSample(
        values=_topics,
        texts=_json_arrays,
        wrong=(("no array", Code.BAD_TYPE, "news, old"),),
        checksum_sql=(
            f"cardinality({{0}})::text || chr({ord(BETWEEN_TEXTS)}) "
            f"|| array_to_string({{0}}, chr({ord(BETWEEN_TEXTS)}))"
        ),
        checksum_text=lambda column, cells: _joined_elements(pc.list_value_length(cells), cells),
        json_literal=r"\A\[",
    ),
}
"""By the name of a family of types."""


def sample_of(column: Column) -> TypeSample:
    sample = SAMPLES[column.type.family.name]
    return _bounded(sample, column) if column.bounds else sample


@cache
def _bounded(sample: TypeSample, column: Column) -> TypeSample:
    """Return the sample of a column with bounds."""
    inside = ranges.of_bounds(column)
    if inside is None:
        return replace(
            sample, distinct=lambda column: None, problem=lambda column: "no value is found inside its limits"
        )
    count = min(inside.count, distinct.UNLIMITED)
    return replace(
        sample,
        values=inside.drawn,
        distinct=lambda column: Distinct(count, lambda rows: inside.nth(rows.index)),
    )


def cell_sql(column: Column, expression: str) -> str:
    """Return SQL for the text of a value in a checksum, which `checksum_text` makes of typed cells."""
    if column.type.family is not ARRAY:
        return sample_of(column).checksum_sql.format(expression)
    text = cell_sql(_element(column), "element")
    joined = f"string_agg({text}, chr({ord(BETWEEN_TEXTS)}) ORDER BY number)"
    elements = f"unnest({expression}) WITH ORDINALITY AS of_array (element, number)"
    return f"(SELECT count(*)::text || chr({ord(BETWEEN_TEXTS)}) || coalesce({joined}, '') FROM {elements})"  # noqa: S608 - SQL of this module
