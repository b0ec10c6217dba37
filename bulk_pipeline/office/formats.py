"""Filters of templates: numbers, times and untrusted texts as people read them."""

from datetime import UTC, datetime

from bulk_pipeline.printable import printable

MOST_SHOWN = 200
"""Characters of a cell or a name that are shown; the rest is cut with "…"."""


def shown(text: object, most: int = MOST_SHOWN) -> str:
    """Return an untrusted text on one line, cut, with control characters and marks of direction escaped.

    HTML in it is escaped by the template, like that of every value.
    """
    plain = str(text)
    return printable(plain if len(plain) <= most else f"{plain[: most - 1]}…")


def number(value: int) -> str:
    return f"{value:,}"


def file_size(size_bytes: int) -> str:
    """Return a size in the unit that people would choose: 820 bytes, 12 kB, 3.4 MB."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    value, unit = float(size_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        value, unit = value / 1000, larger
        if value < 999.5:
            break
    return f"{value:.1f} {unit}" if value < 9.95 and unit != "kB" else f"{value:,.0f} {unit}"


def moment(value: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


FILTERS = {
    "shown": shown,
    "number": number,
    "file_size": file_size,
    "moment": moment,
    "iso": datetime.isoformat,
}
