"""Options of commands that read a file: what is declared about its format."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import UploadFormat, read_format

EncodingOption = Annotated[str | None, typer.Option(help="A code page, for text that is not Unicode.")]
HeaderOption = Annotated[
    str | None, typer.Option(metavar="none", help="The first line is a row: take columns by position.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="NAME=COLUMN", help="The table's column for a name in the file."),
]
SheetOption = Annotated[str | None, typer.Option(help="The sheet of a workbook that holds the rows.")]
RecordsOption = Annotated[
    str | None, typer.Option(metavar="KEY", help="The key of a JSON document that holds the rows.")
]


def upload_format(
    encoding: str | None,
    header: str | None = None,
    columns: Sequence[str] | None = None,
    sheet: str | None = None,
    records: str | None = None,
) -> UploadFormat:
    """The format that the options declare; `typer.BadParameter` for one that cannot be read."""
    texts: Mapping[str, str | None] = {
        "encoding": encoding,
        "header": header,
        "sheet": sheet,
        "records": records,
    }
    try:
        declared = read_format({name: text for name, text in texts.items() if text})
    except DeclarationError as error:
        raise typer.BadParameter(str(error), param_hint="--header") from error
    try:
        pairs = [pair for text in columns or () for pair in read_format({"columns": text}).columns]
    except DeclarationError as error:
        raise typer.BadParameter(str(error), param_hint="--column") from error
    return declared.over(UploadFormat(columns=tuple(pairs)))
