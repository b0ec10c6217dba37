"""Writes the docs that are generated from the code: `make reference`.

A generated part of a document is between `<!-- made from the code: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bulk_pipeline.errors import FileErrorCode
from bulk_pipeline.schema import column_type
from bulk_pipeline.schema.families.others import OTHERS
from bulk_pipeline.schema.table_files import keys
from bulk_pipeline.schema.table_files.shapes import Record
from bulk_pipeline.stages.failures import CODES
from bulk_pipeline_tests.reference import commands, http, messages, settings
from bulk_pipeline_tests.reference.markdown import code_list, escaped, table

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"(<!-- made from the code: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> dict[Path, str]:
    """Return the expected text of every document that is generated, wholly or in parts."""
    texts = {path: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
    with_parts = {path: filled(text) for path, text in texts.items() if _PART.search(text)}
    return with_parts | {ROOT / "docs" / "reference" / name: page() for name, page in PAGES.items()}


def filled(text: str) -> str:
    """Return the document's text with its generated parts updated."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}{part[3]}", text)


def _file_errors() -> str:
    rows = [(f"`{code}`", code.meaning, code.remedy) for code in FileErrorCode]
    return table(("code", "the job failed because …", "what to do"), rows)


def _failures() -> str:
    codes = [(f"`{code}`", code.meaning, code.remedy) for code in CODES.values()]
    rule = ("`rule:<name>`", "breaks a rule about several cells, such as `rule:draft_is_unpublished`")
    return table(
        ("code", "the row …", "what to do"),
        [*codes, (*rule, "correct one of the cells that the message names")],
    )


def _column_types() -> str:
    types = [type_ for type_ in column_type.examples() if not type_.facts.is_opaque]
    rows = [
        (
            f"`{type_}`",
            escaped(type_.facts.expected),
            code_list(type_.facts.options),
            code_list(type_.facts.operators),
        )
        for type_ in types
    ]
    others = ", ".join(f"`{family.name}`" for family in OTHERS)
    rows.append((f"every other type: {others}, and the database's own, such as `shop.mood`", _OTHERS, "", ""))
    return table(("type in Postgres", "a cell of a file is", "options of the column", "filters"), rows)


_OTHERS = "a text, which Postgres checks: the failure says what Postgres says"


def _keys(record: Record[Any]) -> str:
    """Return the keys of a part of a table file."""
    rows = [(f"`{key.name}`", "yes" if key.required else "", key.help) for key in record.keys]
    return table(("key", "required", "meaning"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "column-keys": partial(_keys, keys.COLUMN),
    "column-types": _column_types,
    "failure-codes": _failures,
    "file-error-codes": _file_errors,
    "foreign-key-keys": partial(_keys, keys.FOREIGN_KEY),
    "rule-keys": partial(_keys, keys.RULE),
    "table-keys": partial(_keys, keys.TABLE),
    "unique-key-keys": partial(_keys, keys.UNIQUE_KEY),
    "upload-format-keys": partial(_keys, keys.UPLOAD_FORMAT),
}

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.document,
    "http.md": http.document,
    "messages.md": messages.document,
    "settings.md": settings.document,
}
"""The pages of docs/reference, which are generated as a whole."""
