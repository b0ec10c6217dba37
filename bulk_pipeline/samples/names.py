"""Values of columns with a usual name, such as an email address: used where the declaration of a column allows them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples import words
from bulk_pipeline.samples.distinct import UNLIMITED, Distinct
from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.types import instants, sample_of, sentence, topics
from bulk_pipeline.schema import Column, ColumnType

_STATES = ("draft", "published", "archived")
_PROBE = Rows(0, "probe", np.append(np.arange(200), (1 << 40) + np.arange(10)).astype(np.uint64))


@dataclass(frozen=True)
class Named:
    """`differs`: the values differ wherever the numbers of rows do. `choices`, `type`: those a column must have."""

    values: Callable[[Rows], pa.Array]
    differs: bool = False
    choices: tuple[str, ...] = ()
    type: ColumnType | None = None


@cache
def named(column: Column) -> Named | None:
    """Return the values for the column's name, if all of them fit its declaration."""
    found = _BY_NAME.get(column.name)
    if found is None or found.choices != column.choices or column.bounds:
        return None
    if found.type is not None:
        return found if column.type is found.type else None
    return found if column.type.facts.is_text and _fits(column, found.values(_PROBE)) else None


@cache
def distinct_of(column: Column) -> Distinct | None:
    """Return values of the column that differ from each other; None if there are none."""
    if (found := named(column)) is not None and found.differs:
        return Distinct(UNLIMITED, found.values)
    return sample_of(column).distinct(column)


def _fits(column: Column, texts: pa.Array) -> bool:
    texts = texts.drop_null()
    if column.pattern is not None and not _all(pc.match_substring_regex(texts, rf"\A(?:{column.pattern})\z")):
        return False
    if column.max_words is not None and not _all(
        pc.less_equal(pc.count_substring_regex(texts, r"\S+"), column.max_words)
    ):
        return False
    return column.max_length is None or _all(pc.less_equal(pc.utf8_length(texts), column.max_length))


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, min_count=0).as_py()


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


def _number(rows: Rows) -> pa.Array:
    return pa.array(rows.index).cast(pa.string())


def _status(rows: Rows) -> pa.Array:
    return rows.pick(["draft", "published", "published", "archived"], "status")


def published_at(rows: Rows) -> pa.Array:
    """Return times of rows that have a named `status`; none where it is a draft."""
    return pc.if_else(pc.equal(_status(rows), "draft"), None, instants(rows, "published_at"))


_BY_NAME = {
    "email": Named(_email, differs=True),
    "name": Named(_name),
    "first_name": Named(_first_name),
    "last_name": Named(_last_name),
    "phone": Named(_phone),
    "city": Named(_city),
    "slug": Named(_slug, differs=True),
    "title": Named(_title),
    "body": Named(_body),
    "tags": Named(topics, type=ColumnType.TEXT_ARRAY),
    "status": Named(_status, choices=_STATES),
}
