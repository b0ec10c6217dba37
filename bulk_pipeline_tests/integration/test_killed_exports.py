"""SIGKILL during an export leaves a complete export or none."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.orchestration.reaper import reap_dead_runs
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.seeds import SEEDS

ROWS = 30_000
PARTS = 5


@pytest.mark.parametrize("point", ["in_part", "in_manifest"])
def test_a_killed_export_is_done_by_the_next_attempt(
    exporting: Exporting, tmp_path: Path, point: str
) -> None:
    is_killed_and_done(exporting, tmp_path, point, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("point", ["before_part", "in_part", "between_parts", "after_parts", "in_manifest"])
def test_wherever_it_is_killed(exporting: Exporting, tmp_path: Path, point: str, seed: int) -> None:
    is_killed_and_done(exporting, tmp_path, point, seed)


def is_killed_and_done(exporting: Exporting, folder: Path, point: str, seed: int) -> None:
    exporting.have_many(ROWS)
    job = exporting.ask(format=Format.NDJSON, rows_per_part=ROWS // PARTS)
    kill(exporting, folder, job, point, random.Random(seed).randrange(1, PARTS))

    dead = exporting.stores.exports.get(job.id)
    assert (dead.status, dead.attempt) == (ExportStatus.PROCESSING, 1)
    has_manifest = f"{job.folder}manifest.json" in exporting.listed()
    assert has_manifest == (point == "in_manifest")

    exporting.silence(dead)
    with dg.DagsterInstance.ephemeral() as instance:
        assert len(list(reap_dead_runs(exporting.stores, instance))) == 1
    done = exporting.run(job, "another run")
    assert (done.status, done.attempt, done.total_rows) == (ExportStatus.COMPLETED, 2, ROWS)
    assert len(exporting.emails(done)) == len(set(exporting.emails(done))) == ROWS
    assert exporting.open_uploads() == []


def kill(exporting: Exporting, folder: Path, job: ExportJob, point: str, number: int) -> None:
    settings = exporting.stores.settings
    secrets = {
        name: value.get_secret_value()
        for name in ("database_url", "s3_secret_key")
        if (value := getattr(settings, name)) is not None
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(settings.model_dump(mode="json") | secrets))
    command = [
        sys.executable,
        "-m",
        "bulk_pipeline_tests.rigs.dying_export",
        job.id,
        point,
        str(number),
        file,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
