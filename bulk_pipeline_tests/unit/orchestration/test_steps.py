"""What a step makes of the work files of the one before it."""

import io
from pathlib import Path

import pytest

from bulk_pipeline import tables
from bulk_pipeline.orchestration import steps
from bulk_pipeline.orchestration.work import WorkLocation
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.parse import open_upload

UNREADABLE = b'{"email": "a\\u0000b"}\n'
MALFORMED = b"[1]\n"


@pytest.mark.parametrize("malformed", range(9))
def test_a_cell_that_cannot_be_read_is_not_said_to_be_empty_too(tmp_path: Path, malformed: int) -> None:
    work, table = WorkLocation(tmp_path), tables.get("customers")
    upload = open_upload(
        io.BytesIO(UNREADABLE + MALFORMED * malformed), "a.ndjson", table=table, mode=Mode.INSERT_ONLY
    )
    parsed = steps.parse_upload(upload, "job", 1, table, Mode.INSERT_ONLY, work)
    checked = steps.validate_rows(parsed, work)
    assert sum(batch.num_rows for batch in checked.batches(work, "parse_failures")) == 1 + malformed
    assert list(checked.batches(work, "validate_failures")) == []
