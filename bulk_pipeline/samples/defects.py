"""The defects of bad rows in samples, and the failure code that each must get."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.types import sample_of
from bulk_pipeline.schema import Column, Mode, Table
from bulk_pipeline.stages.failures import Code, rule_code

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


def defects(table: Table, columns: tuple[Column, ...], format: Format) -> tuple[Defect, ...]:
    """Return all kinds of defects of a file with `columns` in that format; the first needs no previous row."""
    return (
        *_missing(table, columns),
        *(defect for column in columns for defect in _limits(column)),
        *_broken_rules(table),
        *_unknown_references(table),
        *_repeated_keys(table, columns),
        *(_csv_damage() if format is Format.CSV else _ndjson_damage()),
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


def _limits(column: Column) -> Iterator[Defect]:
    def cell(what: str, code: str, text: str) -> Defect:
        return _cells(f"{column.name} {what}", code, {column.name: text})

    if column.pattern is not None:
        yield cell("of a wrong form", Code.BAD_FORMAT, "foo@bar")
    if column.choices:
        yield cell("unknown", Code.NOT_ALLOWED, "boss")
    if column.max_length is not None:
        yield cell("too long", Code.TOO_LONG, _too_long(column, column.max_length))
    if column.max_words is not None:
        yield cell("too wordy", Code.TOO_LONG, "word " * column.max_words + "word")
    if column.type.facts.is_text and not column.required:
        return
    for what, code, text in sample_of(column).wrong:
        yield cell(what, code, text)


def _too_long(column: Column, limit: int) -> str:
    """Return a text that is too long but otherwise valid, so that only the length rule fails."""
    address = "x" * limit + "@example.com"
    return address if _matches(address, column.pattern) else "x" * (limit + 1)


def _matches(text: str, pattern: str | None) -> bool:
    if pattern is None:
        return False
    return pc.match_substring_regex(pa.array([text]), rf"\A(?:{pattern})\z")[0].as_py()


def _broken_rules(table: Table) -> Iterator[Defect]:
    breaking: dict[str, Record] = {
        "draft_is_unpublished": {"status": "draft", "published_at": "2025-03-01T08:00:00Z"}
    }
    for rule in table.rules:
        if rule.name in breaking:
            yield _cells(f"breaks {rule.name}", rule_code(rule.name), breaking[rule.name])


def _unknown_references(table: Table) -> Iterator[Defect]:
    for key in table.foreign_keys:
        column = key.columns[0]
        nobody: Record = {column: "00000000-0000-7000-8000-000000000000"}
        yield _cells(f"{column} of nobody", Code.UNKNOWN_REFERENCE, nobody)


def _repeated_keys(table: Table, columns: tuple[Column, ...]) -> Iterator[Defect]:
    names = [column.name for column in columns]
    keys = [key for key in table.keys if key.is_in(names)]
    for key in keys[:1]:
        yield Defect(f"{key} again", Code.DUPLICATE_IN_FILE, Fate.SUPERSEDES, from_previous=key.columns)
    for key in keys[1:]:
        yield Defect(
            f"{key} of another {keys[0]}",
            Code.DUPLICATE_IN_FILE,
            Code.KEY_CONFLICT,
            from_previous=key.columns,
        )


def _csv_damage() -> Iterator[Defect]:
    """Yield defects at the start of the line, which has keys, as these are never quoted."""
    yield _damage("a cell too few", Code.MALFORMED_ROW, lambda line: line.split(b",", 1)[1])
    yield _damage("a cell too many", Code.MALFORMED_ROW, lambda line: b"extra," + line)
    yield _damage("a quote never closed", Code.MALFORMED_ROW, lambda line: b'"' + line)
    yield _damage("bytes that are not UTF-8", Code.BAD_ENCODING, lambda line: b"\xff\xfe" + line)


def _ndjson_damage() -> Iterator[Defect]:
    yield _damage("cut off", Code.MALFORMED_ROW, lambda line: line[:-1])
    yield _damage("no object", Code.MALFORMED_ROW, lambda line: b"[" + line + b"]")
    yield _damage("nested", Code.BAD_TYPE, _nest_first_value)


def _nest_first_value(line: bytes) -> bytes:
    return re.sub(rb'^({"\w+":)("[^"]*"|null)', rb'\1{"value":\2}', line, count=1)
