"""A test that ends its worker is one failure; all other tests run once."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
from bulk_pipeline_tests.shares import Shares

def pytest_xdist_make_scheduler(config, log):
    return Shares(config, log)
"""
TESTS = """
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(6))
def test_one(number):
    with Path(__file__).with_name("ran").open("a") as file:
        file.write(f"{number} ")
    if number == 2:
        os._exit(1)
"""


def test_a_test_that_ends_its_worker_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for folder in ("acceptance", "unit"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_{folder}.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "xdist", "-p", "no:cacheprovider", "-q"]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # each takes time in each process
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]) == (1, "2 failed, 10 passed"), (
        done.stdout
    )
    for folder in ("acceptance", "unit"):
        assert sorted((tmp_path / folder / "ran").read_text().split()) == list("012345")
