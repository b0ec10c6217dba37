"""Keep the data of an epoch with violations: logs, ledger, Dagster's events, and the checker's evidence."""

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
    """Write a new folder: tables as CSV files, the checker's evidence as `checked.pickle`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, logs in (("servers", rig.folder / "logs"), ("stack", rig.home / "logs")):
        shutil.copytree(logs, folder / name)
    with rig.connect() as connection, connection.cursor() as cursor:
        for table in (*_TABLES, _EVENTS):
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv, HEADER)".encode()) as copy:
                (folder / f"{table}.csv").write_bytes(b"".join(bytes(piece) for piece in copy))
    (folder / "checked.pickle").write_bytes(pickle.dumps((evidence.read(rig.places()), list(drops))))
