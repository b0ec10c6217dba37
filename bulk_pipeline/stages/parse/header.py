"""Which columns a header names, and whether that is enough for a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

_SHOWN_NAMES, _SHOWN_LENGTH = 20, 50


@dataclass(frozen=True)
class Columns:
    """`names[i]` is what the cell or key number `positions[i]` of a record is called from here on."""

    names: tuple[str, ...]
    positions: tuple[int, ...]


def normalized(name: str) -> str:
    """`First Name` and `first-name` are both `first_name`; a byte order mark is no part of a name."""
    return name.lstrip("\ufeff").strip().lower().replace(" ", "_").replace("-", "_")


def known(cells: Iterable[str], table: Table) -> set[str]:
    """The columns of the table that are among the names."""
    return {normalized(cell) for cell in cells} & set(table.column_names)


def of_table(cells: Sequence[str], table: Table, mode: Mode | None, notes: Notes) -> Columns:
    """The table's columns among the header's cells, in the table's order; `FileError` if they do not do."""
    names = [normalized(cell) for cell in cells]
    repeated = [
        name for name, count in Counter(names).items() if count > 1 and name not in ("", *IGNORED_COLUMNS)
    ]
    if repeated:
        cell_numbers = " and ".join(str(i) for i, name in enumerate(names, 1) if name == repeated[0])
        raise FileError("duplicate_header", f"the header names {repeated[0]!r} twice (cells {cell_numbers})")
    check(names, cells, table, mode)
    unknown = [cell for cell, name in zip(cells, names, strict=True) if name not in table.column_names]
    warn_of_unknown((cell for cell in unknown if normalized(cell) not in IGNORED_COLUMNS), table, notes)
    found = tuple(name for name in table.column_names if name in names)
    return Columns(found, tuple(names.index(name) for name in found))


def check(names: Sequence[str], seen: Sequence[str], table: Table, mode: Mode | None) -> None:
    """`FileError` if no name is the table's, or a required one is not there."""
    expected = f"expected columns of {table.name}: {listed(table.column_names)}"
    if not set(names) & set(table.column_names):
        raise FileError("no_header", f"no usable header: found {listed(seen)}; {expected}")
    missing = [name for name in table.required_columns(mode or table.default_mode) if name not in names]
    if missing:
        columns = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise FileError("missing_column", f"required {columns} missing: found {listed(seen)}; {expected}")


def warn_of_unknown(names: Iterable[str], table: Table, notes: Notes) -> None:
    unknown = list(names)
    if unknown:
        notes.warn(f"columns that {table.name} does not have are ignored: {listed(unknown)}")


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
