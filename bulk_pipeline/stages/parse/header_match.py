"""Matches a header with the columns of a table, and refuses headers that do not name enough of them."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import LEFT_OUT, NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames, is_origin_column
from bulk_pipeline.stages.parse.near_names import near, nearest
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

DECLARE_ROW = "declare the row that holds the names of columns (header_row, --header-row)"
"""The remedy for a declared header that is in another line of the file, or row of the sheet."""

_SHOWN_NAMES, _SHOWN_LENGTH, _SHOWN_HINTS = 20, 50, 8
_MANY_UNKNOWN = 3


@dataclass(frozen=True)
class Columns:
    """The columns to read: the cell or key at `positions[i]` of a record becomes column `names[i]`."""

    names: tuple[str, ...]
    positions: tuple[int, ...]


def known(cells: Iterable[str], table: Table, declared: UploadFormat = NOTHING_DECLARED) -> set[str]:
    """Return the table's columns that the names stand for."""
    return ColumnNames(table, declared).known(cells)


def of_table(
    cells: Sequence[str],
    table: Table,
    mode: Mode | None,
    notes: Notes,
    declared: UploadFormat = NOTHING_DECLARED,
    *,
    may_lack_required: bool = False,
) -> Columns:
    """Return the table's columns among the header's cells, in the table's order.

    With `may_lack_required`, a column that identifies a row is enough in a mode that changes stored rows. Raises
    `FileError` if two cells stand for one column, if a required column is missing, or if an unknown name is near a
    missing column, since ignoring it could lose data.
    """
    names = ColumnNames(table, declared)
    columns = [names.column(cell) for cell in cells]
    _refuse_two_of_one(cells, columns)
    present = set(columns) - {None}
    if not (may_lack_required and _identify_stored_rows(present, table, mode)):
        check(present, cells, names, mode)
    unknown = [
        cell
        for cell, column in zip(cells, columns, strict=True)
        if column is None and not names.is_left_out(cell)
    ]
    refuse_near(unknown, present, cells, table)
    refuse_mostly_unknown(unknown, present, cells, table)
    warn_of_unknown(unknown, table, notes, declared)
    warn_of_unused(cells, names, notes)
    warn_of_read_only(cells, names, notes)
    notes.has_origins = any(map(is_origin_column, cells))
    found = tuple(name for name in table.column_names if name in columns)
    return Columns(found, tuple(columns.index(name) for name in found))


def of_declared_row(error: FileError, declared: UploadFormat) -> FileError:
    """Return the error of a header, with the declaration that helps if the row of the header is declared."""
    if declared.header_row is None or error.code not in (
        FileErrorCode.NO_HEADER,
        FileErrorCode.MISSING_COLUMN,
    ):
        return error
    code = FileErrorCode.BAD_DECLARATION if error.code == FileErrorCode.NO_HEADER else error.code
    return FileError(code, f"{error}; header_row: {declared.header_row} is declared: {DECLARE_ROW}")


def refuse_oversize(names: Sequence[str], width: int, limits: Limits) -> None:
    """Raise `FileError` for too many columns or too long a name, which every message and report would repeat."""
    if width > limits.columns:
        raise FileError(FileErrorCode.TOO_LARGE, f"the file has {width:,} columns, {limits.of('columns')}")
    for number, name in enumerate(names, 1):
        if 4 * len(name) > limits.name_bytes < (size := len(name.encode("utf-8", "surrogatepass"))):
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the name of column {number} ({name[:_SHOWN_LENGTH]!r} …) has {size:,} bytes, "
                f"{limits.of('name_bytes')}",
            )


def _identify_stored_rows(columns: Collection[str | None], table: Table, mode: Mode | None) -> bool:
    named = [name for name in columns if name is not None]
    return (mode or table.default_mode).rules.keeps_absent_cells and any(
        key.is_in(named) for key in table.identifying_keys
    )


def check(
    columns: Collection[str | None], seen: Sequence[str], names: ColumnNames, mode: Mode | None
) -> None:
    """Raise `FileError` if no column is named, or a required one is missing."""
    table = names.table
    required = table.required_columns(mode or table.default_mode)
    missing = [name for name in required if name not in columns]
    if columns and not missing:
        return
    unknown = [name for name in seen if names.column(name) is None and not names.is_left_out(name)]
    absent = [name for name in table.column_names if name not in columns]
    details = f"found {listed(seen)}; {_expected(table)}{meant(unknown, absent, missing if columns else ())}"
    if not columns:
        raise FileError(FileErrorCode.NO_HEADER, f"no usable header: {details}")
    plural = "s" if len(missing) > 1 else ""
    raise FileError(
        FileErrorCode.MISSING_COLUMN, f"required column{plural} {', '.join(missing)} missing: {details}"
    )


def refuse_near(
    unknown: Sequence[str], columns: Collection[str | None], seen: Sequence[str], table: Table
) -> None:
    """Raise `FileError` if an unknown name is near a column that is not among `columns`."""
    guesses = near(unknown, [name for name in table.column_names if name not in columns])
    if guesses:
        raise FileError(
            FileErrorCode.UNKNOWN_COLUMN,
            f"{did_you_mean(guesses)}: found {listed(seen)}; {_expected(table)}; {declare(guesses)}, or {LEFT_OUT} for "
            "a column if its cells are not wanted",
        )


def refuse_mostly_unknown(
    unknown: Iterable[str], columns: Collection[str | None], seen: Sequence[str], table: Table
) -> None:
    """Raise `FileError` if most names are unknown and as many columns are missing.

    Such names are probably the table's columns in other words or another language.
    """
    words = [name for name in dict.fromkeys(unknown) if name.strip()]
    absent = [name for name in table.column_names if name not in columns]
    if not max(_MANY_UNKNOWN, len(columns) + 1) <= len(words) <= len(absent):
        return
    guesses = nearest(words, absent)
    hint = (
        f"{did_you_mean(guesses)}; {declare(guesses)}"
        if guesses
        else f"declare them ({_option(words[0], 'COLUMN')})"
    )
    raise FileError(
        FileErrorCode.UNKNOWN_COLUMN,
        f"most names are not columns of {table.upload_name}: found {listed(seen)}; {_expected(table)}; {hint}, "
        f"or {LEFT_OUT} for columns whose cells are not wanted",
    )


def warn_of_unknown(names: Iterable[str], table: Table, notes: Notes, declared: UploadFormat) -> None:
    """Warn of names that are no columns. Raises `FileError` if it is declared that there may be none."""
    unknown = list(dict.fromkeys(names))
    if unknown and declared.rejects_extra_columns:
        raise FileError(
            FileErrorCode.UNKNOWN_COLUMN,
            f"{table.upload_name} does not have the columns {listed(unknown)}, and extra_columns: reject is declared: "
            f"{_expected(table)}; remove them, or declare {LEFT_OUT} for each ({_option(unknown[0], LEFT_OUT)})",
        )
    if unknown:
        notes.warn(f"columns that {table.upload_name} does not have are ignored: {listed(unknown)}")


def warn_of_read_only(seen: Iterable[str], names: ColumnNames, notes: Notes) -> None:
    """Says which columns of the file are not written."""
    if read_only := names.read_only(seen):
        notes.warn(f"columns that the database makes itself are ignored: {listed(read_only)}")


def warn_of_unused(seen: Iterable[str], names: ColumnNames, notes: Notes) -> None:
    """Warn of names that are declared for this upload and do not occur in it."""
    if unused := names.unused(seen):
        notes.warn(f"declared for columns, but not in the file: {listed(unused)}")


def did_you_mean(guesses: Mapping[str, str]) -> str:
    """Return a question for each name that may stand for a column."""
    return "; ".join(
        f"{name[:_SHOWN_LENGTH]}: did you mean {column}?"
        for name, column in list(guesses.items())[:_SHOWN_HINTS]
    )


def declare(guesses: Mapping[str, str]) -> str:
    """Return an advice that declares the columns that names stand for."""
    pairs = list(guesses.items())[:_SHOWN_HINTS]
    options = " ".join(_option(name, column) for name, column in pairs)
    field = ", ".join(f"{name[:_SHOWN_LENGTH]}={column}" for name, column in pairs)
    return f"if so, declare {options} (as metadata or form field, columns: {field})"


def _option(name: str, column: str) -> str:
    """Return the command line option that declares the column of a name."""
    return f"--column {shlex.quote(f'{name[:_SHOWN_LENGTH]}={column}')}"


def meant(unknown: Iterable[str], absent: Sequence[str], missing: Sequence[str] = ()) -> str:
    """Return the end of a message: the nearest column of each unknown name, and the option that declares it."""
    words = [name for name in dict.fromkeys(unknown) if name.strip()]
    guesses = nearest(words, [*missing, *(name for name in absent if name not in missing)])
    if guesses:
        return f"; {did_you_mean(guesses)}; {declare(guesses)}"
    return (
        f"; to declare what a name stands for: {_option(words[0], missing[0])}" if words and missing else ""
    )


def _expected(table: Table) -> str:
    return f"expected columns of {table.upload_name}: {listed(table.column_names)}"


def _refuse_two_of_one(cells: Sequence[str], columns: Sequence[str | None]) -> None:
    places: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(columns):
        if name is not None:
            places[name].append(i)
    for column, at in places.items():
        if len(at) == 1:
            continue
        numbers = " and ".join(str(i + 1) for i in at[:_SHOWN_NAMES]) + (
            " and more" if at[_SHOWN_NAMES:] else ""
        )
        counts = Counter(cells)
        other = next((cells[i] for i in reversed(at) if cells[i] != column and counts[cells[i]] == 1), None)
        declared = f", or declare {_option(other, LEFT_OUT)}" if other else ""
        raise FileError(
            FileErrorCode.DUPLICATE_HEADER,
            f"the header names {column!r} twice (cells {numbers}): {listed(cells[i] for i in at)}; leave one of them "
            f"out{declared}",
        )


def of_file(cells: Sequence[str], width: int, notes: Notes) -> Columns:
    """Return all columns of a file without table, with made-up names where the header is too short."""
    names = [
        cell if i < len(cells) else f"column_{i + 1}"
        for i, cell in enumerate([*cells, *[""] * width][:width])
    ]
    if cells and len(cells) != width:
        notes.warn(f"the header has {len(cells)} cells, most rows have {width}")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        notes.warn(f"the header names {listed(repeated)} more than once")
    positions = tuple(i for i, name in enumerate(names) if name not in IGNORED_COLUMNS)
    return Columns(tuple(names[i] for i in positions), positions)


def listed(names: Iterable[str]) -> str:
    """Return the names as a list for a message, shortened."""
    names = list(names)
    shown = [
        repr(n[:_SHOWN_LENGTH]) if not n.isidentifier() or len(n) > _SHOWN_LENGTH else n
        for n in names[:_SHOWN_NAMES]
    ]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(shown) or "nothing") + more
