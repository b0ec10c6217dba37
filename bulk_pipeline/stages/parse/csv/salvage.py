"""Guesses the cells of a damaged line, for people who want to see every cell. Never used for a table.

Of all possible readings the cheapest wins: a quote in its place costs nothing, any other quote costs, and a width
other than the expected one costs more.
"""

from collections.abc import Iterator

from bulk_pipeline.stages.parse.csv.dialect import cells_of
from bulk_pipeline.stages.parse.csv.syntax import Syntax

_MOST_PARTS = 150
_LITERAL_QUOTE, _STRAY_QUOTE, _WRONG_WIDTH = 2, 1, 4
_OTHER_DELIMITERS = (b",", b";", b"\t", b"|", b" ", b":")


def salvage(line: bytes, syntax: Syntax, width: int) -> list[bytes | None]:
    """Return the cells of one physical line, if possible `width` of them."""
    cells = cells_of(line, syntax)
    if cells is None:
        return _cheapest(line, syntax, width)
    if len(cells) == 1 and width > 1:
        return _in_other_delimiter(line, syntax, width) or cells
    return cells


def _in_other_delimiter(line: bytes, syntax: Syntax, width: int) -> list[bytes | None] | None:
    for delimiter in _OTHER_DELIMITERS:
        if line.count(delimiter) < width - 1:
            continue
        cells = cells_of(line, Syntax(delimiter, syntax.quote, syntax.escape))
        if cells is not None and len(cells) == width:
            return cells
    return None


def _cheapest(line: bytes, syntax: Syntax, width: int) -> list[bytes | None]:
    parts = line.split(syntax.delimiter)
    if len(parts) > _MOST_PARTS:
        return [syntax.blanks.strip(part) or None for part in parts]
    # best[i][n]: cost of the cheapest reading of the first i parts as n cells, and where its last cell begins
    best: list[dict[int, tuple[int, int]]] = [{} for _ in range(len(parts) + 1)]
    best[0][0] = (0, 0)
    for begin in range(len(parts)):
        for end, price, _ in _readings(parts, begin, syntax):
            for count, (cost, _from) in best[begin].items():
                known = best[end].get(count + 1)
                if known is None or cost + price < known[0]:
                    best[end][count + 1] = (cost + price, begin)
    count = min(best[-1], key=lambda n: best[-1][n][0] + _WRONG_WIDTH * abs(n - width))
    return _walk_back(parts, best, count, syntax)


def _walk_back(
    parts: list[bytes], best: list[dict[int, tuple[int, int]]], count: int, syntax: Syntax
) -> list[bytes | None]:
    cells: list[bytes | None] = []
    end = len(parts)
    while count:
        begin = best[end][count][1]
        readings = (reading for reading in _readings(parts, begin, syntax) if reading[0] == end)
        cells.append(min(readings, key=lambda reading: reading[1])[2])
        end, count = begin, count - 1
    return cells[::-1]


def _readings(parts: list[bytes], begin: int, syntax: Syntax) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield the cells that may begin with the part `begin`: the part after the cell, its cost and its text."""
    quote, strip = syntax.quote, syntax.blanks.strip
    first = strip(parts[begin])
    opens = first.startswith(quote)
    literal = _LITERAL_QUOTE + first.count(quote)
    yield begin + 1, literal if opens else first.count(quote) % 2, first or None
    if not opens:
        return
    for end in range(begin, len(parts)):
        if strip(parts[end]).endswith(quote):
            text = strip(syntax.delimiter.join(parts[begin : end + 1]))
            if len(text) >= 2:
                inner = text[1:-1]
                strays = inner.replace(quote * 2, b"").count(quote)
                yield end + 1, _STRAY_QUOTE * strays, inner.replace(quote * 2, quote)
