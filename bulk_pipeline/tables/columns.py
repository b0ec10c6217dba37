"""Columns that several tables share, so that they are written once."""

from bulk_pipeline.schema import Column, ColumnType


def id_column() -> Column:
    return Column(name="id", type=ColumnType.UUID, generated=True)


def email() -> Column:
    """An address `local@domain.tld`: one @, no blanks, and a dot inside the domain."""
    return Column(
        name="email",
        required=True,
        max_length=320,
        pattern=r"[^@\s,;<>\"]+@[^@\s,;<>\".]+(\.[^@\s,;<>\".]+)*\.[^@\s,;<>\".]{2,}",
        pattern_name="an address like local@domain.tld",
    )


def created_at() -> Column:
    return Column(name="created_at", type=ColumnType.TIMESTAMP, generated=True)


def updated_at() -> Column:
    return Column(name="updated_at", type=ColumnType.TIMESTAMP, generated=True)
