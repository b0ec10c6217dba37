"""What stands in the cells of a good row: values by column, and how a file writes them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import words
from bulk_pipeline.samples.draw import Rows, uuids
from bulk_pipeline.schema import Column, ColumnType, Table
from bulk_pipeline.schema.types import ARROW_TYPES

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


def values(table: Table, column: Column, rows: Rows, parents: Mapping[str, int]) -> pa.Array:
    """Typed values. `parents`: how many rows of each parent table there are to refer to."""
    if column.name == "id":
        return uuids(rows)
    parent = next((key.table for key in table.foreign_keys if key.column == column.name), None)
    if parent is not None:
        index = rows.below(parents[parent], column.name).astype(np.uint64)
        return uuids(Rows(rows.seed, parent, index))
    if (make := _BY_NAME.get(column.name)) is not None:
        return make(rows)
    return _by_type(column, rows)


def revisable(table: Table, columns: Sequence[Column]) -> Column:
    """The column that differs from one revision to the next: the last free text, which is no key."""
    free = [
        column
        for column in columns
        if column.type is ColumnType.TEXT
        and column.name != table.natural_key
        and column.pattern is None
        and not column.choices
    ]
    if not free:
        raise ValueError(f"table {table.name} has no column of free text to revise")
    return free[-1]


def revised(column: Column, cells: pa.Array, revision: int) -> pa.Array:
    """The same texts in another revision; none is what it was, nor NULL."""
    texts = pc.binary_join_element_wise(f"{revision}.", pc.fill_null(cells, ""), " ")
    return pc.utf8_slice_codeunits(texts, 0, column.max_length) if column.max_length else texts


def as_text(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    """The values as a file has them: not always in the one canonical way, as in life."""
    if column.type is ColumnType.UUID and column.prefix is not None:
        prefix = pc.if_else(pa.array(rows.chance(50, f"{column.name} prefix")), column.prefix, "")
        return pc.binary_join_element_wise(prefix, cells, "")
    if column.type is ColumnType.BOOLEAN:
        said = f"{column.name} word"
        return pc.if_else(cells, rows.pick(_TRUE_WORDS, said), rows.pick(_FALSE_WORDS, said))
    if column.type is ColumnType.TIMESTAMP:
        return _timestamp_text(cells, rows.chance(10, f"{column.name} offset"))
    if column.type is ColumnType.TEXT_ARRAY:
        quoted = pc.binary_join_element_wise('["', pc.binary_join(cells, '","'), '"]', "")
        return pc.if_else(pc.equal(pc.list_value_length(cells), 0), "[]", quoted)
    return cells


def _timestamp_text(cells: pa.Array, elsewhere: np.ndarray) -> pa.Array:
    """Most in UTC; `elsewhere` two hours to the east."""
    shift = pa.array(np.where(elsewhere, 2 * 3600 * 1_000_000, 0))
    local = pc.add(cells.cast(pa.int64()), shift).cast(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(pc.replace_substring(local, " ", "T"), ".000000", "")
    return pc.binary_join_element_wise(text, pc.if_else(pa.array(elsewhere), "+02:00", "Z"), "")


def _email(rows: Rows) -> pa.Array:
    """Unique by its number, and by the seed; in no order, because the name comes first."""
    name, domain = rows.pick(words.MAIL_NAMES, "mail name"), rows.pick(words.MAIL_DOMAINS, "mail domain")
    return pc.binary_join_element_wise(name, f"+{rows.seed}.", _number(rows), "@", domain, "")


def _name(rows: Rows) -> pa.Array:
    return pc.binary_join_element_wise(
        rows.pick(words.FIRST_NAMES, "first_name"), rows.pick(words.LAST_NAMES, "last_name"), " "
    )


def _first_name(rows: Rows) -> pa.Array:
    return rows.pick([*words.FIRST_NAMES, None, ""], "first_name")


def _last_name(rows: Rows) -> pa.Array:
    return rows.pick([*words.LAST_NAMES, None], "last_name")


def _phone(rows: Rows) -> pa.Array:
    number = pa.array(10_000_000 + rows.below(90_000_000, "phone number")).cast(pa.string())
    country = rows.pick(["+44 20 ", "+49 30 ", "+1 (212) ", "0", None], "phone country")
    return pc.binary_join_element_wise(country, number, "")


def _city(rows: Rows) -> pa.Array:
    return rows.pick([*words.CITIES, None, None], "city")


def _slug(rows: Rows) -> pa.Array:
    first, second = rows.pick(words.TOPICS, "topic 0"), rows.pick(words.TOPICS, "topic 1")
    return pc.binary_join_element_wise(first, second, str(rows.seed), _number(rows), "-")


def _title(rows: Rows) -> pa.Array:
    return pc.utf8_rtrim(_sentence(rows, 0), ".")


def _body(rows: Rows) -> pa.Array:
    """One to four sentences; some in two paragraphs, some in quotes."""
    count = rows.below(4, "sentences")
    parts = [_sentence(rows, 1)]
    parts += [pc.if_else(pa.array(count >= nth), _sentence(rows, nth + 1), None) for nth in (1, 2, 3)]
    text = pc.binary_join_element_wise(*parts, " ", null_handling="skip")
    paragraphs = pc.binary_join_element_wise(text, _sentence(rows, 5), "\n\n")
    text = pc.if_else(pa.array(rows.chance(5, "paragraphs")), paragraphs, text)
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    return pc.if_else(pa.array(rows.chance(3, "quotes")), quoted, text)


def _sentence(rows: Rows, place: int) -> pa.Array:
    return _SENTENCES.take(pa.array(rows.below(len(_SENTENCES), f"sentence {place}")))


def _tags(rows: Rows) -> pa.Array:
    """NULL, none, or up to three different topics."""
    count = rows.below(5, "tags")
    start = rows.below(len(words.TOPICS), "first tag")
    lengths = np.maximum(count - 1, 0)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    nth = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    places = (np.repeat(start, lengths) + 5 * nth) % len(words.TOPICS)
    texts = pa.array(words.TOPICS).take(pa.array(places))
    return pa.ListArray.from_arrays(pa.array(ends), texts, mask=pa.array(count == 0))


def _status(rows: Rows) -> pa.Array:
    return rows.pick(["draft", "published", "published", "archived"], "status")


def _published_at(rows: Rows) -> pa.Array:
    return pc.if_else(pc.equal(_status(rows), "draft"), None, _instants(rows, "published_at"))


def _by_type(column: Column, rows: Rows) -> pa.Array:
    """For columns nobody has thought of here: something that fits their declaration, if it has no pattern."""
    if column.type is ColumnType.UUID:
        return uuids(Rows(rows.seed, f"{rows.table}.{column.name}", rows.index))
    if column.type is ColumnType.BOOLEAN:
        return pa.array(rows.chance(80, column.name))
    if column.type is ColumnType.TIMESTAMP:
        return _instants(rows, column.name)
    if column.type is ColumnType.TEXT_ARRAY:
        return _tags(rows)
    if column.choices:
        return rows.pick(column.choices, column.name)
    return pc.utf8_slice_codeunits(_sentence(rows, 0), 0, column.max_length or 1000)


def _instants(rows: Rows, purpose: str) -> pa.Array:
    """Some with parts of a second."""
    micros = rows.below(1_000_000, f"{purpose} micros") * rows.chance(10, f"{purpose} precise")
    seconds = _FIRST_SECOND + rows.below(_SECONDS, purpose)
    return pa.array(seconds * 1_000_000 + micros).cast(ARROW_TYPES[ColumnType.TIMESTAMP])


def _number(rows: Rows) -> pa.Array:
    return pa.array(rows.index).cast(pa.string())


_BY_NAME: dict[str, Callable[[Rows], pa.Array]] = {
    "email": _email,
    "name": _name,
    "first_name": _first_name,
    "last_name": _last_name,
    "phone": _phone,
    "city": _city,
    "slug": _slug,
    "title": _title,
    "body": _body,
    "tags": _tags,
    "status": _status,
    "published_at": _published_at,
}
