"""Output of commands: tables and lines for people, one JSON document for programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import orjson
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from bulk_pipeline.printable import printable

_STATUS_STYLES = {
    "completed": "green",
    "completed_with_errors": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "skipped": "dim",
    "expired": "dim",
    "processing": "cyan",
}

_FREE_TEXT = {"file", "description", "limits", "problem", "remedy"}
"""Columns whose cells may be wrapped."""

err = Console(stderr=True, highlight=False)


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return Console().is_terminal


def status_style(status: str) -> str:
    """Return the colour of a status, empty for none."""
    return _STATUS_STYLES.get(status, "")


def say(text: str) -> None:
    """Print one line for people on stdout."""
    Console(highlight=False, soft_wrap=True).print(printable(text), markup=False)


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(document, option=options, default=str))
    sys.stdout.buffer.flush()


def print_grid(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    dispensable: Sequence[str] = (),
    indent: int = 0,
) -> None:
    """Print a table with numbers aligned right and statuses in colour.

    On a terminal that is too narrow, `dispensable` columns are left out in their order. Elsewhere nothing is cut.
    """
    rows = [list(row) for row in rows]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, 320))
    shown = list(columns)
    for name in dispensable:
        if _width(shown, [dict(zip(columns, row, strict=True)) for row in rows]) <= console.width - indent:
            break
        shown.remove(name)
    grid = _grid(shown, [[row[columns.index(column)] for column in shown] for row in rows])
    console.print(Padding(grid, (0, 0, 0, indent), expand=False))


def _width(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> int:
    """Return the least width of a grid, in characters."""
    widths = {name: max(len(name), *(len(text(row[name])) for row in rows)) for name in columns}
    least = (min(width, 12) if name in _FREE_TEXT else width for name, width in widths.items())
    return sum(least) + 2 * (len(columns) - 1)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        numeric = all(isinstance(row[number], (int, float)) or row[number] is None for row in rows)
        is_free = name in _FREE_TEXT
        grid.add_column(
            name, justify="right" if rows and numeric else "left", no_wrap=not is_free, overflow="fold"
        )
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    return grid


def print_facts(facts: Mapping[str, object]) -> None:
    """Print one fact per line, names to the left. Empty values are left out."""
    shown = {name: value for name, value in facts.items() if value not in (None, "", [], {}, ())}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        say(f"{name:<{width}}  {text(value)}")


def _cell(value: object) -> Text:
    """Return the value as styled text, never parsed as markup: a file name may look like markup."""
    shown = text(value)
    return Text(shown, style=status_style(shown))


def text(value: object) -> str:
    """Return the value as people read it: `1,000`, `yes`, lists with commas. Control characters are escaped."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(item)}" for key, item in value.items() if item not in (None, [], {}))
    if isinstance(value, (list, tuple)):
        return ", ".join(text(item) for item in value)
    return printable(str(value))


def local_time(time: datetime | None, now: datetime, *, short: bool = False) -> str:
    """Return the local time, empty for None. `short` leaves out today's date, and seconds of other days."""
    if time is None:
        return ""
    local = time.astimezone()
    if not short:
        return f"{local:%Y-%m-%d %H:%M:%S}"
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d %H:%M}"
