"""The cells of good rows: values by column."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import words
from bulk_pipeline.samples.draw import Rows, uuids
from bulk_pipeline.samples.types import instants, sample_of, sentence, topics
from bulk_pipeline.schema import Column, ColumnType, Table


def values(table: Table, column: Column, rows: Rows, parents: Mapping[str, int]) -> pa.Array:
    """Return typed values. `parents`: number of rows of each parent table."""
    if column.type is ColumnType.UUID and (column.name,) in (key.columns for key in table.keys):
        return uuids(rows)
    parent = next((key.table for key in table.foreign_keys if key.columns == (column.name,)), None)
    if parent is not None:
        index = rows.below(parents[parent], column.name).astype(np.uint64)
        return uuids(Rows(rows.seed, parent, index))
    if (make := _BY_NAME.get(column.name)) is not None:
        return make(rows)
    return sample_of(column).values(column, rows)


def revisable(table: Table, columns: Sequence[Column]) -> Column:
    """Return the column that differs between revisions: the last column of free text that is not a key."""
    free = [
        column
        for column in columns
        if column.type.facts.is_text
        and column.name not in table.key_columns
        and column.pattern is None
        and not column.choices
    ]
    if not free:
        raise ValueError(f"table {table.upload_name} has no column of free text to revise")
    return free[-1]


def revised(column: Column, cells: pa.Array, revision: int) -> pa.Array:
    """Return the texts of another revision; all of them are different, and none is NULL."""
    texts = pc.binary_join_element_wise(f"{revision}.", pc.fill_null(cells, ""), " ")
    return pc.utf8_slice_codeunits(texts, 0, column.max_length) if column.max_length else texts


def _email(rows: Rows) -> pa.Array:
    """Return addresses that are unique by number and seed, and unsorted, because the name comes first."""
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
    return pc.utf8_rtrim(sentence(rows, 0), ".")


def _body(rows: Rows) -> pa.Array:
    """Return one to four sentences; some in two paragraphs, some in quotes."""
    count = rows.below(4, "sentences")
    parts = [sentence(rows, 1)]
    parts += [pc.if_else(pa.array(count >= nth), sentence(rows, nth + 1), None) for nth in (1, 2, 3)]
    text = pc.binary_join_element_wise(*parts, " ", null_handling="skip")
    paragraphs = pc.binary_join_element_wise(text, sentence(rows, 5), "\n\n")
    text = pc.if_else(pa.array(rows.chance(5, "paragraphs")), paragraphs, text)
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    return pc.if_else(pa.array(rows.chance(3, "quotes")), quoted, text)


def _status(rows: Rows) -> pa.Array:
    return rows.pick(["draft", "published", "published", "archived"], "status")


def _published_at(rows: Rows) -> pa.Array:
    return pc.if_else(pc.equal(_status(rows), "draft"), None, instants(rows, "published_at"))


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
    "tags": topics,
    "status": _status,
    "published_at": _published_at,
}
