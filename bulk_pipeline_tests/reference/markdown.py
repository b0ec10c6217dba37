"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence


def code_list(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def escaped(text: str) -> str:
    """Return a text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
