"""Which columns a header names, and whether that is enough for a table."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import LEFT_OUT, NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.near_names import near, nearest
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

_SHOWN_NAMES, _SHOWN_LENGTH, _SHOWN_HINTS = 20, 50, 8
_MANY_UNKNOWN = 3


@dataclass(frozen=True)
class Columns:
    """`names[i]` is what the cell or key number `positions[i]` of a record is called from here on."""

    names: tuple[str, ...]
    positions: tuple[int, ...]


def known(cells: Iterable[str], table: Table, declared: UploadFormat = NOTHING_DECLARED) -> set[str]:
    """The columns of the table that are among the names."""
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
    """The table's columns among the header's cells, in the table's order.

    Raises `FileError` if two cells stand for one column, a required column is missing, or the name of an unknown one is
    near a column that is missing: to ignore it could lose its cells. `may_lack_required`: in a mode that changes
    stored rows, a column that identifies a row is enough.
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
    warn_of_unknown(unknown, table, notes)
    warn_of_unused(cells, names, notes)
    found = tuple(name for name in table.column_names if name in columns)
    return Columns(found, tuple(columns.index(name) for name in found))


def refuse_oversize(names: Sequence[str], width: int, limits: Limits) -> None:
    """`FileError` for too many columns, or a name that is too long: every message and report would repeat it."""
    if width > limits.columns:
        raise FileError("too_large", f"the file has {width:,} columns, {limits.of('columns')}")
    for number, name in enumerate(names, 1):
        if 4 * len(name) > limits.name_bytes < (size := len(name.encode("utf-8", "surrogatepass"))):
            raise FileError(
                "too_large",
                f"the name of column {number} ({name[:_SHOWN_LENGTH]!r} …) has {size:,} bytes, "
                f"{limits.of('name_bytes')}",
            )


def _identify_stored_rows(columns: Collection[str | None], table: Table, mode: Mode | None) -> bool:
    return (mode or table.default_mode).updates_rows and bool(
        {"id", table.natural_key} & set(columns) - {None}
    )


def check(
    columns: Collection[str | None], seen: Sequence[str], names: ColumnNames, mode: Mode | None
) -> None:
    """`FileError` if no name is the table's, or a required one is not there."""
    table = names.table
    required = table.required_columns(mode or table.default_mode)
    missing = [name for name in required if name not in columns]
    if columns and not missing:
        return
    unknown = [name for name in seen if names.column(name) is None and not names.is_left_out(name)]
    absent = [name for name in table.column_names if name not in columns]
    what = f"found {listed(seen)}; {_expected(table)}{meant(unknown, absent, missing if columns else ())}"
    if not columns:
        raise FileError("no_header", f"no usable header: {what}")
    plural = "s" if len(missing) > 1 else ""
    raise FileError("missing_column", f"required column{plural} {', '.join(missing)} missing: {what}")


def refuse_near(
    unknown: Sequence[str], columns: Collection[str | None], seen: Sequence[str], table: Table
) -> None:
    """`FileError` if an unknown name is near a column that is not among `columns`."""
    found = near(unknown, [name for name in table.column_names if name not in columns])
    if found:
        raise FileError(
            "unknown_column",
            f"{did_you_mean(found)}: found {listed(seen)}; {_expected(table)}; {declare(found)}, or {LEFT_OUT} for a "
            "column if its cells are not wanted",
        )


def refuse_mostly_unknown(
    unknown: Iterable[str], columns: Collection[str | None], seen: Sequence[str], table: Table
) -> None:
    """`FileError` if more names are unknown than known, and the table misses as many columns: they are probably its own
    in other words, or another language."""
    words = [name for name in dict.fromkeys(unknown) if name.strip()]
    absent = [name for name in table.column_names if name not in columns]
    if not max(_MANY_UNKNOWN, len(columns) + 1) <= len(words) <= len(absent):
        return
    found = nearest(words, absent)
    hint = (
        f"{did_you_mean(found)}; {declare(found)}"
        if found
        else f"declare them ({_option(words[0], 'COLUMN')})"
    )
    raise FileError(
        "unknown_column",
        f"most names are no columns of {table.name}: found {listed(seen)}; {_expected(table)}; {hint}, "
        f"or {LEFT_OUT} for columns whose cells are not wanted",
    )


def warn_of_unknown(names: Iterable[str], table: Table, notes: Notes) -> None:
    unknown = list(dict.fromkeys(names))
    if unknown:
        notes.warn(f"columns that {table.name} does not have are ignored: {listed(unknown)}")


def warn_of_unused(seen: Iterable[str], names: ColumnNames, notes: Notes) -> None:
    """Says which names were declared for this upload and do not occur in it."""
    if unused := names.unused(seen):
        notes.warn(f"declared for columns, but not in the file: {listed(unused)}")


def did_you_mean(found: Mapping[str, str]) -> str:
    """A question for each name that may stand for a column."""
    return "; ".join(
        f"{name[:_SHOWN_LENGTH]}: did you mean {column}?"
        for name, column in list(found.items())[:_SHOWN_HINTS]
    )


def declare(found: Mapping[str, str]) -> str:
    """How to declare the columns that names stand for."""
    pairs = list(found.items())[:_SHOWN_HINTS]
    options = " ".join(_option(name, column) for name, column in pairs)
    field = ", ".join(f"{name[:_SHOWN_LENGTH]}={column}" for name, column in pairs)
    return f"if so, declare {options} (as metadata or form field, columns: {field})"


def _option(name: str, column: str) -> str:
    """As it is written on the command line."""
    return f"--column {shlex.quote(f'{name[:_SHOWN_LENGTH]}={column}')}"


def meant(unknown: Iterable[str], absent: Sequence[str], missing: Sequence[str] = ()) -> str:
    """The end of a message: the nearest column for each unknown name, and how to declare it."""
    words = [name for name in dict.fromkeys(unknown) if name.strip()]
    found = nearest(words, [*missing, *(name for name in absent if name not in missing)])
    if found:
        return f"; {did_you_mean(found)}; {declare(found)}"
    return (
        f"; to declare what a name stands for: {_option(words[0], missing[0])}" if words and missing else ""
    )


def _expected(table: Table) -> str:
    return f"expected columns of {table.name}: {listed(table.column_names)}"


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
            "duplicate_header",
            f"the header names {column!r} twice (cells {numbers}): {listed(cells[i] for i in at)}; leave one of them "
            f"out{declared}",
        )


def of_file(cells: Sequence[str], width: int, notes: Notes) -> Columns:
    """All columns under the header's names, made up where the header is too short."""
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
    """Names for a message, shortened."""
    names = list(names)
    shown = [
        repr(n[:_SHOWN_LENGTH]) if not n.isidentifier() or len(n) > _SHOWN_LENGTH else n
        for n in names[:_SHOWN_NAMES]
    ]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(shown) or "nothing") + more
