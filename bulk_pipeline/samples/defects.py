"""The ways in which a row of a sample is bad, and what each must be answered with."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples.formats import Format
from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stages.failures import Code, rule_code

Record = dict[str, str | None]
"""The texts of one row."""


class Fate(StrEnum):
    """What becomes of a bad row that is no failure: see `Defect.upsert`."""

    INSERTED = "inserted"
    SUPERSEDES = "supersedes"


@dataclass(frozen=True)
class Defect:
    """`cells`: the texts that are changed. `from_previous`: cells taken from the good row before.

    `damage`: what is done to the written line. `insert_only`, `upsert`: the code of the one failure it
    gives, or what becomes of the row instead.
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
    """Every kind that a file of `columns` in that format can have; the first needs no earlier row."""
    return (
        *_missing(table, columns),
        *(defect for column in columns for defect in _limits(column)),
        *_broken_rules(table),
        *_unknown_references(table),
        *_repeated_keys(table, columns),
        *(_csv_damage() if format is Format.CSV else _ndjson_damage()),
    )


def _cells(name: str, code: str, cells: Record) -> Defect:
    """The same failure in both modes."""
    return Defect(name, code, code, cells)


def _damage(name: str, code: str, damage: Callable[[bytes], bytes]) -> Defect:
    return Defect(name, code, code, damage=damage)


def _missing(table: Table, columns: tuple[Column, ...]) -> Iterator[Defect]:
    for column in columns:
        if column.name in table.required_columns(Mode.UPSERT):
            yield _cells(f"{column.name} missing", Code.REQUIRED, {column.name: None})
    if table.requires_id(Mode.INSERT_ONLY) and not table.requires_id(Mode.UPSERT):
        yield Defect("id missing", Code.REQUIRED, Fate.INSERTED, {"id": None})


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
    if column.type is ColumnType.UUID:
        yield cell("no uuid", Code.BAD_TYPE, "12345")
    if column.type is ColumnType.BOOLEAN:
        yield cell("no boolean", Code.BAD_TYPE, "maybe")
    if column.type is ColumnType.TIMESTAMP:
        yield cell("no timestamp", Code.BAD_TYPE, "2024-02-30T12:00:00Z")
        yield cell("out of range", Code.OUT_OF_RANGE, "12024-02-03T12:00:00Z")
    if column.type is ColumnType.TEXT_ARRAY:
        yield cell("no array", Code.BAD_TYPE, "news, old")
    if column.type is ColumnType.TEXT and column.required:
        yield cell("with a NUL", Code.BAD_ENCODING, "a\0b")


def _too_long(column: Column, limit: int) -> str:
    """Of the right form all the same, so that it breaks this limit only."""
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
        nobody: Record = {key.column: "00000000-0000-7000-8000-000000000000"}
        yield _cells(f"{key.column} of nobody", Code.UNKNOWN_REFERENCE, nobody)


def _repeated_keys(table: Table, columns: tuple[Column, ...]) -> Iterator[Defect]:
    has_id = any(column.name == "id" for column in columns)
    again = "id" if has_id else table.natural_key
    if again is not None:
        yield Defect(f"{again} again", Code.DUPLICATE_IN_FILE, Fate.SUPERSEDES, from_previous=(again,))
    if has_id and table.natural_key is not None:
        yield Defect(
            f"{table.natural_key} of another id",
            Code.DUPLICATE_IN_FILE,
            Code.KEY_CONFLICT,
            from_previous=(table.natural_key,),
        )


def _csv_damage() -> Iterator[Defect]:
    """All damage is done at the start of the line, where keys stand, which are never quoted."""
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
