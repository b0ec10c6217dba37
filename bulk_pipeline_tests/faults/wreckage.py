"""Keep what a broken epoch has left behind: logs, ledger, Dagster's events, all that the checker reads."""

import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

from bulk_pipeline_tests.faults import evidence
from bulk_pipeline_tests.faults.evidence import Drop
from bulk_pipeline_tests.faults.rig import Rig

_TABLES = ("bulk.import_jobs", "bulk.import_batches", "bulk.job_leases", "bulk.export_jobs", "dagster.runs")
_EVENTS = "dagster.event_logs"


def keep(rig: Rig, drops: Sequence[Drop], folder: Path) -> None:
    """Into a new folder: a table is a CSV file, what the checker was given `checked.pickle`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, logs in (("servers", rig.folder / "logs"), ("stack", rig.home / "logs")):
        shutil.copytree(logs, folder / name)
    with rig.connect() as connection, connection.cursor() as cursor:
        for table in (*_TABLES, _EVENTS):
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv, HEADER)".encode()) as copy:
                (folder / f"{table}.csv").write_bytes(b"".join(bytes(piece) for piece in copy))
    (folder / "checked.pickle").write_bytes(pickle.dumps((evidence.read(rig.places()), list(drops))))
