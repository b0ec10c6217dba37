"""Proposes the columns that names of a file stand for, where a name is near a column that the file lacks."""

from collections.abc import Sequence

from bulk_pipeline.schema import Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.near_names import near


def aliases(header: Sequence[str], table: Table, declared: UploadFormat) -> tuple[dict[str, str], list[str]]:
    """Return the column of each name that is near one, and sentences about names and columns that are not paired."""
    names = ColumnNames(table, declared)
    known = names.known(header)
    absent = [column.name for column in table.columns if column.is_writable and column.name not in known]
    unknown = [
        name
        for name in dict.fromkeys(header)
        if name.strip() and names.column(name) is None and not names.is_left_out(name)
    ]
    pairs = [(name, column) for name in unknown for column in absent if near([name], [column])]
    alone = {
        name: column
        for name, column in pairs
        if sum(name == other for other, _ in pairs) == sum(column == other for _, other in pairs) == 1
    }
    left = [pair for pair in pairs if pair[0] not in alone]
    sentences = []
    for column in dict.fromkeys(column for _, column in left):
        possible = " or ".join(repr(name) for name, other in left if other == column)
        sentences.append(f"{column} may be {possible}: say which with --column")
    return alone, sentences
