"""Chooses the sheet of a workbook to import: the declared one, or the only visible one that fits the table."""

from collections.abc import Iterable, Sequence

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.header_match import DECLARE_ROW, of_declared_row
from bulk_pipeline.stages.parse.parsed import Notes
from bulk_pipeline.stages.parse.xlsx import header
from bulk_pipeline.stages.parse.xlsx.sheet import Row
from bulk_pipeline.stages.parse.xlsx.workbook import Sheet, Workbook

_SHOWN_SHEETS, _SHOWN_LENGTH = 50, 100


def choose(
    book: Workbook, declared: UploadFormat, notes: Notes, *, table: Table | None, mode: Mode | None
) -> Sheet:
    """Return the sheet to import, and warn of other sheets with cells. Raises `FileError` if several are possible."""
    filled = _filled(book)
    sheet = (
        _named(declared.sheet, book.sheets) if declared.sheet else _only(book, filled, declared, table, mode)
    )
    others = [other for other in filled if other is not sheet]
    visible, hidden = ([s.name for s in others if s.is_hidden == is_hidden] for is_hidden in (False, True))
    if visible:
        notes.warn(f"only the sheet {sheet.name!r} was imported: there is more in {listed(visible)}")
    if hidden:
        notes.warn(f"hidden sheets were not imported: {listed(hidden)}")
    return sheet


def listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN_SHEETS} more" if len(names) > _SHOWN_SHEETS else ""
    return ", ".join(repr(name[:_SHOWN_LENGTH]) for name in names[:_SHOWN_SHEETS]) + more


def _filled(book: Workbook) -> list[Sheet]:
    parts = {sheet.part: sheet for sheet in book.sheets}
    filled = {part for part, sheet in parts.items() if next(book.rows(sheet), None) is not None}
    return [sheet for sheet in book.sheets if sheet.part in filled]


def _named(name: str, sheets: Sequence[Sheet]) -> Sheet:
    """Return the declared sheet, which may be hidden. Raises `FileError` if there is none or several."""
    exact = [sheet for sheet in sheets if sheet.name == name]
    alike = exact or [sheet for sheet in sheets if _folded(sheet.name) == _folded(name)]
    if len(alike) == 1:
        return alike[0]
    problem = "more than one sheet with such a name" if alike else "no sheet of that name"
    raise FileError(
        FileErrorCode.NO_SHEET,
        f"the sheet {name!r} was declared, but the workbook has {problem}; it has {listed(s.name for s in sheets)}",
    )


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()


def _only(
    book: Workbook, filled: list[Sheet], declared: UploadFormat, table: Table | None, mode: Mode | None
) -> Sheet:
    visible = [sheet for sheet in filled if not sheet.is_hidden]
    if not visible:
        raise _nothing_visible(filled)
    if len(visible) == 1:
        return visible[0]
    if table is None or declared.no_header:
        raise _several(visible, "hold rows", visible)
    mode, known = mode or table.default_mode, ColumnNames(table, declared)
    heads = [header.first_rows(book.rows(sheet), declared) for sheet in visible]
    fitting = _fitting(visible, heads, known, declared, mode)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise _several(fitting, f"have the columns of {table.upload_name}", visible)
    raise _none_fits(visible, heads, known, declared, mode, book.limits)


def _fitting(
    sheets: Sequence[Sheet],
    heads: Sequence[Sequence[Row]],
    known: ColumnNames,
    declared: UploadFormat,
    mode: Mode,
) -> list[Sheet]:
    """Return the sheets with a row that names all required columns.

    Sheets where that row names several columns, or only one and nothing else, are preferred; then sheets with rows
    below it.
    """
    required = known.table.required_columns(mode)
    matches: list[tuple[bool, bool, Sheet]] = []
    for sheet, head in zip(sheets, heads, strict=True):
        at = header.best(head, known, required, declared)
        cells = [word for word in header.words(head[at]) if word] if at is not None else []
        names = known.known(cells)
        if at is not None and names.issuperset(required):
            matches.append((len(names) > 1 or len(cells) == 1, at + 1 < len(head), sheet))
    surest = [match for match in matches if match[0]] or matches
    with_rows = [match for match in surest if match[1]] or surest
    return [sheet for _, _, sheet in with_rows]


def _nothing_visible(hidden: Sequence[Sheet]) -> FileError:
    if not hidden:
        return FileError(FileErrorCode.NO_HEADER, "the workbook is empty: no sheet has anything in a cell")
    names = [sheet.name for sheet in hidden]
    return FileError(
        FileErrorCode.NO_SHEET,
        f"every sheet with something in it is hidden: {listed(names)}; unhide one, or {_declare(names[0])}",
    )


def _several(sheets: Sequence[Sheet], trait: str, visible: Sequence[Sheet]) -> FileError:
    names = [sheet.name for sheet in sheets]
    others = [sheet.name for sheet in visible if sheet not in sheets]
    more = f" (there is more in {listed(others)})" if others else ""
    return FileError(
        FileErrorCode.NO_SHEET,
        f"{len(names)} sheets {trait}: {listed(names)}{more}; save each as a file of its own, or {_declare(names[0])}",
    )


def _none_fits(
    sheets: Sequence[Sheet],
    heads: Sequence[Sequence[Row]],
    known: ColumnNames,
    declared: UploadFormat,
    mode: Mode,
    limits: Limits,
) -> FileError:
    """Return an error with the problem of the sheet that names most columns."""
    table, names = known.table, [sheet.name for sheet in sheets]
    if not any(heads):
        return FileError(
            FileErrorCode.BAD_DECLARATION,
            f"header_row: {declared.header_row} is declared, and no sheet has cells in that row: found "
            f"{listed(names)}; {DECLARE_ROW}",
        )
    required = table.required_columns(mode)
    at = [header.best(head, known, required, declared) or 0 for head in heads]
    counts = [
        len(known.known(header.words(head[i]))) if head else -1 for head, i in zip(heads, at, strict=True)
    ]
    nearest = counts.index(max(counts))
    try:
        header.of_table(heads[nearest], known, declared, mode, Notes(), limits)
        problem = "its header names too little of the table"
        code = FileErrorCode.NO_HEADER
    except FileError as error:
        error_of_row = of_declared_row(error, declared)
        problem, code = str(error_of_row), error_of_row.code
    return FileError(
        code,
        f"no sheet has the columns of {table.upload_name}: {listed(names)}; in {names[nearest]!r}: {problem}; "
        f"to import one all the same, {_declare(names[nearest])}",
    )


def _declare(name: str) -> str:
    return f"declare the one that holds the rows (sheet: {name}, on the command line --sheet {name!r})"
