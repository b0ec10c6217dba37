"""The format of an upload as declared; what is not declared is detected from the file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from bulk_pipeline.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class UploadFormat:
    """Declarations about one upload, or about all uploads of a table. Empty ones declare nothing.

    `encoding`: the code page of text that has no byte order mark and is not UTF-8.
    `no_header`: the first record is a row; columns are taken by position.
    `columns`: for names in the file that are not the table's, the table's column: `(("Mail", "email"),)`; `LEFT_OUT`
    for a name whose cells are not wanted.
    `sheet`: the name of the sheet of a workbook that holds the rows.
    `records`: the key of a JSON document whose value is the array of rows, `data` or `result.data`.
    """

    encoding: str | None = None
    no_header: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    sheet: str | None = None
    records: str | None = None

    def over(self, base: "UploadFormat") -> "UploadFormat":
        """These declarations, and those of `base` where there are none here; columns of both, these first."""
        declared = {field.name: value for field in fields(self) if (value := getattr(self, field.name))}
        columns = tuple((dict(base.columns) | dict(self.columns)).items())
        return replace(base, **declared | {"columns": columns})

    def texts(self) -> dict[str, str]:
        """The declarations as `read_format` reads them: the form they have in metadata, forms and the ledger."""
        texts = {
            "encoding": self.encoding,
            "header": "none" if self.no_header else None,
            "columns": json.dumps(dict(self.columns), ensure_ascii=False) if self.columns else None,
            "sheet": self.sheet,
            "records": self.records,
        }
        return {name: text for name, text in texts.items() if text}


NOTHING_DECLARED = UploadFormat()

LEFT_OUT = "-"
"""Declared for a name in the file: it stands for no column, and nothing needs to be said about it."""

DECLARATIONS = ("encoding", "header", "columns", "sheet", "records")
"""The names under which an upload's format is declared, everywhere."""


def read_format(declared: Mapping[str, str]) -> UploadFormat:
    """The format that texts by name declare; names that are none of `DECLARATIONS` are left out.

    `header` may be `none`. `columns` is `E-Mail=email, Ort=city`, or a JSON object where names hold commas or equals
    signs. Raises `DeclarationError` for a text that cannot be read.
    """
    texts = {name: declared.get(name, "").replace("\0", "").strip() for name in DECLARATIONS}
    header = texts["header"].lower()
    if header not in ("", "none"):
        raise DeclarationError(f"header {texts['header']!r} is not understood: the only value is none")
    return UploadFormat(
        encoding=texts["encoding"] or None,
        no_header=header == "none",
        columns=_columns(texts["columns"]),
        sheet=texts["sheet"] or None,
        records=texts["records"] or None,
    )


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    if text.startswith("{"):
        return _columns_of_json(text)
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    for name, equals, column in pairs:
        if not (equals and name.strip() and column.strip()):
            raise DeclarationError(
                f"columns {text!r} is not understood: write it like E-Mail=email, Ort=city (the name in the file first)"
            )
    return tuple((name.strip(), column.strip()) for name, _, column in pairs)


def _columns_of_json(text: str) -> tuple[tuple[str, str], ...]:
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, dict) or not all(isinstance(column, str) for column in names.values()):
        raise DeclarationError(
            f'columns {text!r} is not understood: write a JSON object like {{"E-Mail": "email", "Ort": "city"}}'
        )
    return tuple(names.items())
