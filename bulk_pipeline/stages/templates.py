"""Templates: files with the header of a table, to be filled in and imported. As they are, they import as no rows.

Ids, times and computed columns that the database makes are left out, unless rows cannot be told apart without them.
Other columns with a default are optional.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import LEFT_OUT, Column, ColumnType, Table
from bulk_pipeline.schema.families.times import TIMESTAMPS
from bulk_pipeline.schema.rules_in_words import kind, limits, required
from bulk_pipeline.schema.upload_format import QUOTE
from bulk_pipeline.stages.sheet_format import (
    DATE,
    MOST_ROWS,
    TEXT,
    TIMESTAMP,
    number_format,
    sheet_name,
    width,
)

if TYPE_CHECKING:
    from xlsxwriter import Workbook

_KINDS = {DATE: "date", TIMESTAMP: "date and time"}
"""Names of what a formatted cell holds. Files of text hold the same in ISO 8601, which its type is called after."""
_MOST_INLINE = 255
"""Characters of a drop-down's list in the cell's own rule; Excel refuses a file with a longer one."""
_CHOICES_SHEET = "_choices"


def columns(table: Table) -> tuple[Column, ...]:
    """Return the columns that people fill in."""
    needed = {*table.required_columns(table.default_mode)}
    if table.default_mode.rules.updates_rows:
        keys = [key.columns for key in table.identifying_keys]
        left_out = {column.name for column in table.columns if _is_left_out(table, column)}
        if not any(left_out.isdisjoint(key) for key in keys):
            needed |= {*keys[0]} if keys else set()
    return tuple(
        column
        for column in table.columns
        if column.is_writable and (column.name in needed or not _is_left_out(table, column))
    )


def _is_left_out(table: Table, column: Column) -> bool:
    """Return whether people leave a column to the database: an id, a time with a default, a column of `touch`."""
    if column.name in table.touch or column.identity is not None:
        return True
    is_id = column.type is ColumnType.UUID or table.primary_key == (column.name,)
    return column.is_made and (is_id or column.type.family.name in TIMESTAMPS)


def header(table: Table) -> tuple[str, ...]:
    """Return the names of the columns to fill in, as the table's upload format has them.

    Raises `DeclarationError` for a table whose files have no header.
    """
    if table.upload_format.no_header:
        raise DeclarationError(
            f"{table.upload_name} declares header: none, and a template is a header: remove header: none"
        )
    declared = {column: name for name, column in reversed(table.upload_format.columns) if column != LEFT_OUT}
    return tuple(declared.get(column.name, column.name) for column in columns(table))


def csv_template(table: Table) -> bytes:
    """Return a line with the header, where the table's files have it; with a byte order mark, which Excel needs, if a
    name is not ASCII."""
    format_ = table.upload_format
    quote = QUOTE if format_.quote is None else format_.quote
    delimiter = format_.delimiter or ","
    line = delimiter.join(_in_quotes(name, quote, delimiter) for name in header(table))
    text = "\n" * _rows_above(table) + line + "\n"
    return text.encode("utf-8" if text.isascii() else "utf-8-sig")


def _in_quotes(name: str, quote: str, delimiter: str) -> str:
    if not quote or not any(character in name for character in (quote, delimiter, "\n", "\r")):
        return name
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def _rows_above(table: Table) -> int:
    """Return the number of rows before the header."""
    return (table.upload_format.header_row or 1) - 1


def workbook_template(table: Table) -> bytes:
    """Return a workbook with the header: drop-downs for choices, the formats of types, the rules as notes.

    Texts and whole numbers that may have more digits than a spreadsheet keeps are formatted as text.
    """
    from xlsxwriter import Workbook  # takes longer to import than most commands run

    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet(sheet_name(table))
    top = _rows_above(table)
    sheet.freeze_panes(top + 1, 0)
    head = {"bg_color": "#E7E6E6", "bottom": 1, "num_format": TEXT}
    optional, bold = book.add_format(head), book.add_format({**head, "bold": True})
    for at, (column, name) in enumerate(zip(columns(table), header(table), strict=True)):
        format_ = number_format(column)
        sheet.set_column(at, at, width(column, name, format_), book.add_format({"num_format": format_}))
        is_required = column.name in table.required_columns(table.default_mode)
        sheet.write_string(top, at, name, bold if is_required else optional)
        note = "\n".join(_note(table, column))
        lines = sum(1 + len(line) // 34 for line in note.split("\n"))
        sheet.write_comment(top, at, note, {"width": 240, "height": 20 + 17 * lines, "author": ""})
        if words := _words(table, column):
            sheet.data_validation(top + 1, at, MOST_ROWS - 1, at, _drop_down(book, at, words, column))
    book.close()
    return out.getvalue()


def _note(table: Table, column: Column) -> Iterator[str]:
    yield _KINDS.get(number_format(column)) or kind(table, column)
    if when := required(table, column):
        yield "required" if when == "yes" else f"required {when}"
    yield from limits(column)
    if column.type is ColumnType.TIMESTAMP:
        yield f"in the time zone {table.upload_format.time_zone or 'UTC'}"
    for rule in table.rules:
        if column.name in rule.columns:
            yield rule.message


def _words(table: Table, column: Column) -> tuple[str, ...]:
    """Return the texts that the column may have, if they are few."""
    if column.type is not ColumnType.BOOLEAN:
        return tuple(filter(None, column.choices))
    declared = table.upload_format
    if not (declared.true_words or declared.false_words):
        return ("true", "false")
    return (*declared.true_words[:1], *declared.false_words[:1])


def _drop_down(book: "Workbook", at: int, words: tuple[str, ...], column: Column) -> dict[str, object]:
    """Return the rule of a column's cells. Booleans have more words than the list, so that it refuses none of them."""
    is_inline = len(",".join(words)) <= _MOST_INLINE and not any(
        "," in word or word != word.strip() for word in words
    )
    return {
        "validate": "list",
        "source": list(words) if is_inline else _range(book, at, words),
        "show_error": bool(column.choices),
        "error_title": column.name,
        "error_message": "Choose one of the list.",
    }


def _range(book: "Workbook", at: int, words: tuple[str, ...]) -> str:
    """Write words into a column of a hidden sheet, and return the reference to them."""
    from xlsxwriter.utility import xl_range_abs

    sheet = book.get_worksheet_by_name(_CHOICES_SHEET) or book.add_worksheet(_CHOICES_SHEET)
    sheet.hide()
    for row, word in enumerate(words):
        sheet.write_string(row, at, word)
    return f"={_CHOICES_SHEET}!{xl_range_abs(0, at, len(words) - 1, at)}"
