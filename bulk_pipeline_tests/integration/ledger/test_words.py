"""The words that the ledger's columns accept are those of the enums that are stored in them."""

import re
from enum import StrEnum

import psycopg
import pytest

from bulk_pipeline.ledger.export_jobs import ExportStatus
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.rights import JobsRight
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.request import Kind

STORED: dict[tuple[str, str], type[StrEnum]] = {
    ("import_jobs", "mode"): Mode,
    ("import_jobs", "status"): Status,
    ("export_jobs", "status"): ExportStatus,
    ("export_jobs", "format"): Format,
    ("export_jobs", "compression"): Compression,
    ("export_jobs", "kind"): Kind,
    ("accounts", "jobs"): JobsRight,
}


@pytest.mark.parametrize(("table", "column"), STORED)
def test_a_column_accepts_every_member_and_nothing_else(database_url: str, table: str, column: str) -> None:
    with psycopg.connect(database_url) as connection:
        checks = connection.execute(
            """
            SELECT pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = %s::regclass AND contype = 'c' AND conkey = ARRAY[(
                SELECT attnum FROM pg_attribute WHERE attrelid = conrelid AND attname = %s
            )]
            """,
            [f"bulk.{table}", column],
        ).fetchall()
    (words,) = (re.findall(r"'([^']*)'::text", check) for (check,) in checks)
    assert set(words) == {member.value for member in STORED[table, column]}, (
        f"add a migration in sql/ for the CHECK on bulk.{table}.{column}"
    )
