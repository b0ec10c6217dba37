"""The peak of a run's memory, and the environment of a stack in which tables are emptied."""

import subprocess
import sys
import time

import psutil

from bulk_pipeline.bench.harness import without_servers
from bulk_pipeline.bench.memory import watching

HOG = "import time; held = bytearray(b'x' * 60_000_000); print('ready', flush=True); time.sleep(30)"
WARM = f"""
import subprocess, sys
with subprocess.Popen([sys.executable, '-c', {HOG!r}]) as run:
    run.wait()
"""


def test_the_peak_counts_runs_with_their_children_and_nothing_else() -> None:
    with watching(psutil.Process()) as nothing:
        time.sleep(0.2)
    assert nothing.peak.rss_bytes == 0
    with (
        subprocess.Popen(
            [sys.executable, "-c", WARM, "multiprocessing.forkserver"], stdout=subprocess.PIPE
        ) as warm,
        watching(psutil.Process()) as watch,
    ):
        assert warm.stdout is not None
        warm.stdout.readline()
        time.sleep(0.8)
        for run in psutil.Process(warm.pid).children():
            run.kill()
    assert watch.peak.rss_bytes > watch.peak.private_bytes > 60_000_000


def test_a_bench_never_uses_the_servers_that_the_environment_names() -> None:
    environ = {
        "DATABASE_URL": "postgresql://production",
        "S3_ENDPOINT_URL": "http://production",
        "S3_BUCKET_UPLOADS": "production",
        "BULK_HOME": "elsewhere",
        "BULK_WORK_DIR": "elsewhere",
        "BULK_SCRATCH_DIR": "elsewhere",
        "BULK_BATCH_ROWS": "1000",
        "PATH": "/bin",
    }
    assert without_servers(environ) == {"BULK_BATCH_ROWS": "1000", "PATH": "/bin"}
