"""Commands import slow libraries only if they use them."""

import subprocess
import sys


def test_a_command_does_not_wait_for_libraries_it_does_not_use() -> None:
    program = "import sys, bulk_pipeline.cli.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    heavy = {"boto3", "dagster", "fastapi", "numpy", "pandas", "pandera", "pyarrow", "sqlalchemy"}
    assert heavy & set(loaded.split()) == set()
