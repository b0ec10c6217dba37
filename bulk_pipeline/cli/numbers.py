"""Numbers as people write them in options: shares (1%, 1/100) and counts (1e6, 50_000)."""

from fractions import Fraction

import typer


def share(text: str, option: str) -> Fraction:
    """`1%`, `0.01` or `1/100`. `option` is named if the text is none of these."""
    number = text.strip().removesuffix("%")
    try:
        found = Fraction(number) / (100 if number != text.strip() else 1)
    except (ValueError, ZeroDivisionError):
        found = Fraction(-1)
    if not 0 <= found <= 1:
        raise typer.BadParameter(
            f"{text!r} is not a share from 0 to 1: write 1%, 0.01 or 1/100", param_hint=option
        )
    return found


def count(text: str, option: str, least: int = 1) -> int:
    """`1000000`, `1_000_000`, `1,000,000` or `1e6`."""
    try:
        found = Fraction(text.strip().replace(",", ""))
    except ValueError:
        found = Fraction(-1)
    if found < least or found.denominator != 1:
        raise typer.BadParameter(
            f"{text!r} is not a count: write 1000000, 1_000_000 or 1e6", param_hint=option
        )
    return int(found)


def counts(text: str, option: str) -> tuple[int, ...]:
    """Counts with commas between them: `1e6,3e6,10e6`."""
    return tuple(count(part, option) for part in text.split(","))
