"""The modules that the API's process imports before the first request."""

import subprocess
import sys

HEAVY = {"adbc_driver_manager", "dagster", "numpy", "pandas", "pandera", "pyarrow"}


def test_the_api_starts_without_the_libraries_that_only_runs_and_streams_need() -> None:
    program = "import sys, bulk_pipeline.api.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
