"""Some faults of each sort in one short epoch of a running stack; `make faults` has all of them, for as long as you like."""

import tempfile
from pathlib import Path

import pytest

from bulk_pipeline_tests.faults.campaign import Campaign
from bulk_pipeline_tests.faults.rig import rig

KINDS = ["kill run", "lose COMMIT", "S3 503", "cut Postgres", "kill Postgres"]


@pytest.mark.xdist_group("faults")
def test_no_row_is_lost_doubled_or_told_wrongly_whatever_dies() -> None:
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-test-"))
    folder.chmod(0o711)
    with rig(folder) as running:
        *faults, end = Campaign(running, rows=600, pause_seconds=8).epoch(1, KINDS, lambda told: None)
    assert end["violations"] == []
    assert [fault["kind"] for fault in faults] == KINDS
    assert all(fault["jobs"] for fault in faults)
