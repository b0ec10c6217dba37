"""The layout of a table file: plain values as YAML text that people like to edit."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bulk_pipeline.schema.table_files.nodes import is_ambiguous

_WIDTH = 110
_PLAIN = re.compile(r"[^\W\d_]([\w ./()+-]*[\w.)+-])?|[0-9][\w./()+-]*")
"""Texts that mean the same without quotes wherever they stand; all others get quotes."""


def dump(plain: dict[str, Any]) -> str:
    """Return the text of a mapping. Lists and mappings that fit on a line stay on it, below the first level."""
    return "".join(f"{line}\n" for line in _block(plain, "", top=True))


def _block(value: Any, indent: str, *, top: bool = False) -> Iterator[str]:
    match value:
        case dict():
            for name, child in value.items():
                yield from _entry(f"{indent}{_scalar(name)}:", child, indent + "  ", in_block=top)
        case list():
            for child in value:
                yield from _item(child, indent)


def _entry(head: str, child: Any, indent: str, *, in_block: bool) -> Iterator[str]:
    line = f"{head} {flow(child)}"
    of_parts = isinstance(child, dict) or (isinstance(child, list) and isinstance(child[0], list | dict))
    if not child or (len(line) <= _WIDTH and not (in_block and of_parts)) or isinstance(child, str | int):
        yield line
    else:
        yield head
        yield from _block(child, indent)


def _item(child: Any, indent: str) -> Iterator[str]:
    line = f"{indent}- {flow(child)}"
    if len(line) <= _WIDTH or not isinstance(child, dict):
        yield line
        return
    for number, text in enumerate(_block(child, indent + "  ")):
        yield text if number else f"{indent}- {text.lstrip()}"


def flow(value: Any) -> str:
    """Return the text of a value on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_scalar(name)}: {flow(child)}" for name, child in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return str(value)
    return _scalar(value)


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and not is_ambiguous(text):
        return text
    if "\\" in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
