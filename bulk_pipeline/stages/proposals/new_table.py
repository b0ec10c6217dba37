"""Proposes a table for a file: its declaration and its CREATE TABLE, with the evidence for each type and key.

The whole file is read. The table holds every cell of it as it is; what would not stay so is a text.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.printable import printable
from bulk_pipeline.schema import (
    LEFT_OUT,
    NOTHING_DECLARED,
    Column,
    ColumnType,
    Table,
    TableName,
    UploadFormat,
)
from bulk_pipeline.schema.invisible import BLANKS, INVISIBLE_CLASS
from bulk_pipeline.schema.keys import DEFAULT_SCHEMA
from bulk_pipeline.schema.table_files import SCHEMA_FILE, layout, plain
from bulk_pipeline.stages.parse import Upload
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.proposals import keys
from bulk_pipeline.stages.proposals.code_pages import Open, with_code_page
from bulk_pipeline.stages.proposals.records import Records
from bulk_pipeline.stages.proposals.settings import MARKED
from bulk_pipeline.stages.proposals.types import ColumnCells, TypeChoice, choose
from bulk_pipeline.stages.validate import validate

_LONGEST_NAME, _LONGEST_KEY = 63, 200
_IN_KEYS = ("integer", "bigint", "uuid", "date")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class NewColumn:
    """A column, and why it has its type and may or may not be NULL."""

    column: Column
    why_type: str
    why_null: str


@dataclass(frozen=True)
class NewTable:
    """A proposed table.

    `file`, `rows`: what was read. `keys`: those that the file allows, the primary key first if there is one. `notes`:
    evidence for what is declared about the whole file.
    `undecided`: sentences about what an import would not take.
    """

    table: Table
    file: str
    rows: int
    columns: tuple[NewColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"Proposed from {self.file}, {self.rows:,} {'row' if self.rows == 1 else 'rows'}"

    @property
    def why_key(self) -> str:
        return f"complete and unique in {self.rows:,} rows"


def propose_table(open_: Open, name: TableName, declared: UploadFormat, file: str, folder: Path) -> NewTable:
    """Return the table that a file needs.

    `declared`: what is known about the format of the file. `folder`: for temporary files. Raises `FileError` for a file
    that cannot be read.
    """
    declared, page = with_code_page(declared, open_)
    undecided = [page.evidence] if page.evidence and page.name is None else []
    upload = open_(None, declared.over(MARKED))
    records = Records.of(upload, folder)
    dialect = upload.dialect
    if dialect.format in ("csv", "xlsx") and dialect.header_line is None:
        declared = replace(declared, no_header=True)
    given = {header: column for header, column in declared.columns if header in records.names}
    declared = replace(declared, columns=tuple(given.items()))
    headers = [header for header in records.names if header.strip(BLANKS) and given.get(header) != LEFT_OUT]
    if not all(header.strip(BLANKS) for header in records.names):
        undecided.append("columns that have no name in the header are left out")
    read = {header: records.column(header) for header in headers}
    choices, notation = choose([*read.values()])
    names = _column_names(headers, given)
    columns = [
        _new_column(names[header], read[header], choices[header], records.texts(header)) for header in headers
    ]
    table = Table(
        name=name.name,
        schema=name.schema,
        columns=tuple(column.column for column in columns),
        upload_format=declared.over(notation),
    )
    if not table.upload_format.no_header:
        table = _with_aliases(table, names)
    found = _keys(columns, names, read, records)
    if found and len(found[0]) == 1:
        table = replace(table, primary_key=found[0])
    undecided += _rejected(table, open_(table, NOTHING_DECLARED))
    notes = (f"encoding: {page.evidence}",) if page.evidence and page.name else ()
    return NewTable(table, file, records.rows, tuple(columns), tuple(found), notes, tuple(undecided))


def _column_names(headers: Sequence[str], given: dict[str, str]) -> dict[str, str]:
    """Return the given name of each column, else one of letters, digits and underscores."""
    names = {header: given[header] for header in headers if header in given}
    for at, header in enumerate(headers, 1):
        if header in given:
            continue
        words = re.sub(r"\W+", "_", _CAMEL.sub("_", unicodedata.normalize("NFKC", header)))
        first = _shortened(words.strip("_").lower() or f"column_{at}", _LONGEST_NAME)
        name, number = first, 2
        while name in names.values():
            name, number = f"{_shortened(first, _LONGEST_NAME - 4)}_{number}", number + 1
        names[header] = name
    return names


def _shortened(name: str, length: int) -> str:
    return name.encode()[:length].decode("utf-8", "ignore")


def _new_column(name: str, column: ColumnCells, choice: TypeChoice, texts: pa.ChunkedArray) -> NewColumn:
    rows = len(texts)
    empty = pc.fill_null(pc.equal(pc.utf8_trim(texts, BLANKS), ""), True)
    count = int(pc.sum(empty).as_py() or 0)
    why_null = (
        f"{count:,} of {rows:,} cells are empty" if count else "no cell is empty" if rows else "no rows"
    )
    required = bool(rows) and not count
    return NewColumn(Column(name=name, type=choice.type, required=required), choice.evidence, why_null)


def _with_aliases(table: Table, names: dict[str, str]) -> Table:
    """Return the table with the names of the file that would stand for no column, or for another one."""
    aliases = dict(table.upload_format.columns)
    for _ in range(2):  # a name that is declared may be spelt like another one
        known = ColumnNames(table, replace(table.upload_format, columns=tuple(aliases.items())))
        aliases |= {header: name for header, name in names.items() if known.column(header) != name}
    return replace(table, upload_format=replace(table.upload_format, columns=tuple(aliases.items())))


def _rejected(table: Table, upload: Upload) -> Iterator[str]:
    """Yield a sentence about the rows that an import into the table would reject, if there are any."""
    rejected, first = 0, ""
    for chunk in upload:
        checked = validate(chunk.records, chunk.failures, table, table.default_mode, format_=upload.declared)
        for failures in (chunk.failures, checked.failures):
            if not first and failures.num_rows:
                first = f"row {failures['row'][0]}: {failures['message'][0]}"
        rejected += len({*chunk.failures["row"].to_pylist(), *checked.failures["row"].to_pylist()})
    if rejected:
        yield f"an import would reject {rejected:,} of {upload.rows:,} rows; {first}"


def _keys(
    columns: Sequence[NewColumn], names: dict[str, str], read: dict[str, ColumnCells], records: Records
) -> list[tuple[str, ...]]:
    headers = {name: header for header, name in names.items()}
    parts = list[keys.KeyColumn]()
    for column in (one.column for one in columns):
        texts = read[headers[column.name]].cells.texts
        if column.required and _may_be_key(column.type, texts):
            values = len(pc.unique(pc.utf8_lower(texts))) if column.type is ColumnType.UUID else len(texts)
            parts.append(keys.KeyColumn(column.name, values, only_together=str(column.type) == "date"))
    return keys.candidates(parts, records.rows, lambda name: records.texts(headers[name]))


def _may_be_key(type_: ColumnType, texts: pa.Array) -> bool:
    """Return whether an import takes the cells as parts of keys, and an index holds them."""
    if type_ is not ColumnType.TEXT:
        return str(type_) in _IN_KEYS
    longest = pc.max(pc.utf8_length(texts)).as_py()
    return (
        longest <= _LONGEST_KEY
        and not pc.any(pc.match_substring_regex(texts, f"[{INVISIBLE_CLASS}]")).as_py()
    )


def declaration(new: NewTable) -> str:
    """Return the text of the table file, with the evidence as comments."""
    content = plain(new.table)
    lines = [f"# yaml-language-server: $schema=../{SCHEMA_FILE}", f"# {printable(new.title)}."]
    lines += [f"# {printable(note)}" for note in new.notes]
    for name, value in content.items():
        if name == "columns":
            lines.append("columns:")
            for one in new.columns:
                entry = layout.flow({one.column.name: value[one.column.name]})[1:-1]
                lines.append(f"  {entry}  # {printable(f'{one.why_type}; {one.why_null}')}")
        elif name == "primary_key":
            lines.append(f"{layout.dump({name: value}).rstrip()}  # {new.why_key}")
        else:
            lines += layout.dump({name: value}).splitlines()
    if new.table.primary_key and new.keys[1:]:
        lines += [
            "# unique_keys:",
            *(f"#   - {layout.flow([*key])}  # {new.why_key}" for key in new.keys[1:]),
        ]
    elif not new.table.primary_key:
        lines += [f"# primary_key: {layout.flow([*key])}  # {new.why_key}" for key in new.keys]
    return "".join(f"{line}\n" for line in lines)


def create_table(new: NewTable) -> str:
    """Return the CREATE TABLE statement, with the evidence as comments."""
    entries = [
        (
            f"{_quoted(one.column.name)} {one.column.type}{' NOT NULL' if one.column.required else ''}",
            f"{one.why_type}; {one.why_null}",
        )
        for one in new.columns
    ]
    if new.table.primary_key:
        columns = ", ".join(map(_quoted, new.table.primary_key))
        entries.append((f"PRIMARY KEY ({columns})", new.why_key))
    lines = [
        f"    {entry}{',' if at < len(entries) else ''}  -- {printable(why)}"
        for at, (entry, why) in enumerate(entries, 1)
    ]
    schema = f"{_quoted(new.table.schema)}." if new.table.schema != DEFAULT_SCHEMA else ""
    head = f"CREATE TABLE {schema}{_quoted(new.table.name)} ("
    return "\n".join([f"-- {printable(new.title)}.", head, *lines, ");", ""])


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def files(new: NewTable) -> dict[str, str]:
    """Return the texts of the two files by their paths in a project."""
    name = new.table.upload_name
    return {f"tables/{name}.yaml": declaration(new), f"{name}.sql": create_table(new)}
