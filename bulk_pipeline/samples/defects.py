"""The defects of bad rows in samples, and the failure code that each must get."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples.cells import nobody, values
from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.relations import Relations, is_required
from bulk_pipeline.samples.types import sample_of
from bulk_pipeline.schema import Column, Mode, Table
from bulk_pipeline.schema.bounds import is_number
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.failures import Code, rule_code

_LONGEST = 100_000
"""Characters of a text that is too long: a column that holds more gets none."""

_FEW = 4
"""Optional columns of which all may be NULL in a row: what is left of its line is no row."""

Record = dict[str, str | None]
"""The texts of one row."""


class Fate(StrEnum):
    """Result of a bad row that is not rejected: see `Defect.upsert`."""

    INSERTED = "inserted"
    SUPERSEDES = "supersedes"


@dataclass(frozen=True)
class Defect:
    """`cells`: changed texts. `from_previous`: cells copied from the previous good row.

    `damage`: a change of the written line. `insert_only`, `upsert`: the code of its one failure, or the `Fate` of the
    row.
    """

    name: str
    insert_only: str
    upsert: str
    cells: Record = field(default_factory=dict)
    from_previous: tuple[str, ...] = ()
    damage: Callable[[bytes], bytes] | None = None

    def answer(self, mode: Mode) -> str:
        match mode:
            case Mode.INSERT_ONLY:
                return self.insert_only
            case Mode.UPSERT:
                return self.upsert
            case _:
                assert_never(mode)


def defects(table: Table, relations: Relations, format: Format, seed: int = 1) -> tuple[Defect, ...]:
    """Return all kinds of defects of a file in that format, each with one failure; one or more need no previous row."""
    columns = relations.columns(table)
    return (
        *_missing(table, columns),
        *(defect for column in columns for defect in _limits(column, format)),
        *_broken_rules(table, columns),
        *_unknown_references(table, relations, seed),
        *_repeated_keys(table, relations),
        *_damages(table, relations, format),
    )


def _cells(name: str, code: str, cells: Record) -> Defect:
    """Return a defect with the same failure in both modes."""
    return Defect(name, code, code, cells)


def _damage(name: str, code: str, damage: Callable[[bytes], bytes]) -> Defect:
    return Defect(name, code, code, damage=damage)


def _missing(table: Table, columns: tuple[Column, ...]) -> Iterator[Defect]:
    for column in columns:
        if column.name in table.required_columns(Mode.UPSERT):
            yield _cells(f"{column.name} missing", Code.REQUIRED, {column.name: None})
    for name in table.required_columns(Mode.INSERT_ONLY):
        if name not in table.required_columns(Mode.UPSERT):
            yield Defect(f"{name} missing", Code.REQUIRED, Fate.INSERTED, {name: None})


def _limits(column: Column, format: Format) -> Iterator[Defect]:
    def cell(what: str, code: str, text: str) -> Defect:
        return _cells(f"{column.name} {what}", code, {column.name: text})

    if column.pattern is not None and not column.choices and (text := _mismatch(column)) is not None:
        yield cell("of a wrong form", Code.BAD_FORMAT, text)
    if column.choices and column.pattern is None and (text := _no_choice(column)) is not None:
        yield cell("unknown", Code.NOT_ALLOWED, text)
    if not column.choices and (text := _too_long(column)) is not None:
        yield cell("too long", Code.TOO_LONG, text)
    if not column.choices and column.pattern is None and (text := _too_wordy(column)) is not None:
        yield cell("too wordy", Code.TOO_LONG, text)
    if column.bounds and is_number(column.type.facts):
        yield cell("outside its limits", Code.OUT_OF_RANGE, _outside(column))
    if column.type.facts.is_text and not column.required:
        return
    sample, codec = sample_of(column), codec_of(column)
    for what, code, text in sample.wrong:
        is_wrong = column.type.facts.is_text or codec.from_text(column, pa.array([text])).problems
        if is_wrong and not (format is Format.NDJSON and _breaks_json(text, sample.json_literal)):
            yield cell(what, code, text)


def _mismatch(column: Column) -> str | None:
    """Return a text that does not match the column's pattern, and breaks no other limit."""
    texts = ("foo@bar", "wrong", "#")
    most = column.max_length or len(texts[0])
    return next((text for text in texts if not _matches(text, column.pattern) and len(text) <= most), None)


def _no_choice(column: Column) -> str | None:
    most = column.max_length or len("boss")
    texts = ("boss", "no", "?")
    return next((text for text in texts if text not in column.choices and len(text) <= most), None)


def _too_long(column: Column) -> str | None:
    """Return a text that is too long but otherwise valid, so that only the length rule fails."""
    limit = column.max_length
    if limit is None or limit > _LONGEST:
        return None
    texts = ("x" * limit + "@example.com", "x" * (limit + 1), "1" * (limit + 1))
    if column.pattern is None:
        return texts[1]
    return next((text for text in texts if _matches(text, column.pattern)), None)


def _too_wordy(column: Column) -> str | None:
    words = column.max_words
    if words is None or words * len("word ") > _LONGEST:
        return None
    text = "word " * words + "word"
    return text if column.max_length is None or len(text) <= column.max_length else None


def _outside(column: Column) -> str:
    bound, limit = column.bounds[0]
    return format(Decimal(limit) + (-1 if bound.is_lower else 1), "f")


def _matches(text: str, pattern: str | None) -> bool:
    if pattern is None:
        return False
    return pc.match_substring_regex(pa.array([text]), rf"\A(?:{pattern})\z")[0].as_py()


def _breaks_json(text: str, literal: str | None) -> bool:
    """Return whether a text that is written without quotes makes its line invalid JSON."""
    if literal is None or not pc.match_substring_regex(pa.array([text]), literal)[0].as_py():
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return True
    return False


def _broken_rules(table: Table, columns: Sequence[Column]) -> Iterator[Defect]:
    breaking: dict[str, Record] = {
        "draft_is_unpublished": {"status": "draft", "published_at": "2025-03-01T08:00:00Z"}
    }
    for rule in table.rules:
        cells = breaking.get(rule.name)
        if cells is not None and {*cells} <= {column.name for column in columns}:
            yield _cells(f"breaks {rule.name}", rule_code(rule.name), cells)


def _unknown_references(table: Table, relations: Relations, seed: int) -> Iterator[Defect]:
    for key in relations.plan(table).breakable:
        yield _cells(f"{key} of nobody", Code.UNKNOWN_REFERENCE, nobody(relations, table, key, seed))


def _repeated_keys(table: Table, relations: Relations) -> Iterator[Defect]:
    """Yield defects of keys that share no columns with other keys, and only whole foreign keys."""
    names = [column.name for column in relations.columns(table)]
    empty = relations.plan(table).empty
    keys = [key for key in table.keys if key.is_in(names) and not empty & {*key.columns}]
    for key in keys:
        others = [{*other.columns} for other in keys if other is not key]
        others += [
            {*foreign.columns} - {*key.columns} and {*foreign.columns} for foreign in table.foreign_keys
        ]
        if any(other & {*key.columns} for other in others):
            continue
        if key is keys[0]:
            yield Defect(f"{key} again", Code.DUPLICATE_IN_FILE, Fate.SUPERSEDES, from_previous=key.columns)
        else:
            yield Defect(
                f"{key} of another {keys[0]}",
                Code.DUPLICATE_IN_FILE,
                Code.KEY_CONFLICT,
                from_previous=key.columns,
            )


def _damages(table: Table, relations: Relations, format: Format) -> Iterator[Defect]:
    """Yield damages of lines. Most of them are done to the first cell, which must be one without quotes."""
    columns = relations.columns(table)
    if format is Format.NDJSON:
        yield from _ndjson_damage(is_flat=not columns[0].type.facts.is_nested)
        return
    is_bare = _is_bare(table, relations, columns[0])
    if is_bare and (len(columns) > _FEW or any(is_required(table, column) for column in columns[1:])):
        yield _damage("a cell too few", Code.MALFORMED_ROW, lambda line: line.split(b",", 1)[1])
    yield _damage("a cell too many", Code.MALFORMED_ROW, lambda line: b"extra," + line)
    if is_bare:
        yield _damage("a quote never closed", Code.MALFORMED_ROW, lambda line: b'"' + line)
        yield _damage("bytes that are not UTF-8", Code.BAD_ENCODING, lambda line: b"\xff\xfe" + line)


def _is_bare(table: Table, relations: Relations, column: Column) -> bool:
    """Return whether each cell of the column has a value, and none stands in quotes."""
    plan, facts = relations.plan(table), column.type.facts
    if not (facts.is_text or facts.is_opaque or facts.is_nested):
        return column.name in (*plan.numbers, plan.filled) or is_required(table, column)
    if column.name not in plan.numbers:
        return False
    rows = Rows(1, table.upload_name, np.arange(50, dtype=np.uint64))
    texts = codec_of(column).to_text(column, values(relations, table, column, rows))
    return pc.all(pc.match_substring_regex(texts, r'\A[^",\s]+\z')).as_py()


def _ndjson_damage(*, is_flat: bool) -> Iterator[Defect]:
    yield _damage("cut off", Code.MALFORMED_ROW, lambda line: line[:-1])
    yield _damage("no object", Code.MALFORMED_ROW, lambda line: b"[" + line + b"]")
    if is_flat:
        yield _damage("nested", Code.BAD_TYPE, _nest_first_value)


def _nest_first_value(line: bytes) -> bytes:
    text = rb'"(?:[^"\\]|\\.)*"'
    return re.sub(rb"^({%b:)(%b|[^,}\[{]+)" % (text, text), rb'\1{"value":\2}', line, count=1)
