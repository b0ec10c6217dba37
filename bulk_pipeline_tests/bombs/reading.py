"""Reads one file in a separate process, as a run does before it loads, and measures the cost."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_SECONDS = 600


@dataclass(frozen=True)
class Cost:
    """`verdict`: result of the file. `peak_bytes`: peak memory of the process, including the `idle_bytes` before it
    reads. `disk_bytes`: work files. `seconds`: CPU time."""

    verdict: str
    peak_bytes: int
    idle_bytes: int
    disk_bytes: int
    seconds: float


def cost(path: Path, table: str = "customers") -> Cost:
    """Return the cost of reading and validating a file. Raises `subprocess.SubprocessError` if the process crashes."""
    words = [sys.executable, "-m", "bulk_pipeline_tests.bombs.reading", str(path), "--table", table]
    ended = subprocess.run(words, check=True, capture_output=True, timeout=_SECONDS)
    return Cost(**json.loads(ended.stdout.splitlines()[-1]))


def _read(path: Path, table_name: str, work: Path) -> str:
    from bulk_pipeline import tables
    from bulk_pipeline.errors import FileError
    from bulk_pipeline.limits import DEFAULT_LIMITS
    from bulk_pipeline.pipeline import import_steps
    from bulk_pipeline.pipeline.budget import Budget
    from bulk_pipeline.pipeline.work_files import WorkLocation
    from bulk_pipeline.stages.parse.upload import open_upload

    table = tables.get(table_name)
    location = WorkLocation(work)
    budget = Budget(1_000_000, 1_000_000_000)
    try:
        with path.open("rb") as stream:
            upload = open_upload(
                stream, path.name, table=table, mode=table.default_mode, limits=DEFAULT_LIMITS
            )
            state = import_steps.parse_upload(upload, "job", 1, table, table.default_mode, location, budget)
        state = import_steps.validate_rows(state, location, budget)
    except FileError as error:
        return f"{error.code}: {error}"
    return f"{state.rows:,} rows, {state.rows - state.good:,} rejected"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("path", type=Path)
    options.add_argument("--table", default="customers")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as warm_up:
        small = Path(warm_up) / "a.csv"
        small.write_bytes(b"email,city\na@b.co,Rome\n")
        _read(small, arguments.table, Path(warm_up) / "work")
    idle, started = _peak(), time.process_time()
    with tempfile.TemporaryDirectory() as work:
        verdict = _read(arguments.path, arguments.table, Path(work))
        disk = sum(file.stat().st_size for file in Path(work).rglob("*") if file.is_file())
    result = Cost(verdict, _peak(), idle, disk, time.process_time() - started)
    sys.stdout.write(json.dumps(asdict(result)))


def _peak() -> int:
    """Return `VmHWM` which, unlike `ru_maxrss`, does not include the parent's memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
