"""A run's memory has a hard limit, and errors above it name the limit."""

import errno
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bulk_pipeline.pipeline.run_memory import LEAST_BYTES, MOST_BYTES, default_bytes, is_out_of_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is enforced by Linux only")

ASKS_FOR_MORE = """
import sys
import numpy as np
import pyarrow as pa
from pathlib import Path
from bulk_pipeline.pipeline.run_memory import NeedsMemoryError, is_out_of_memory, limit_run

def data_bytes():
    return int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) << 10

limit = data_bytes() + (200 << 20)
limit_run(limit)
asked = {
    "Python, at once": lambda: bytearray(300 << 20),
    "Python, little by little": lambda: [bytes(1000) for _ in range(10**6)],
    "NumPy": lambda: np.ones(300 << 20, np.uint8),
    "Arrow": lambda: pa.array(np.ones(100 << 20, np.uint8)).cast(pa.int64()),
}
try:
    asked[sys.argv[1]]()
except Exception as error:
    assert is_out_of_memory(error), repr(error)
    assert f"{limit:,} bytes" in str(NeedsMemoryError())
    assert data_bytes() <= limit
    print("refused")
"""


@pytest.mark.parametrize("kind", ["Python, at once", "Python, little by little", "NumPy", "Arrow"])
@pytest.mark.parametrize("pool", ["system", "mimalloc"])
def test_an_allocation_above_the_limit_is_refused(kind: str, pool: str) -> None:
    command = [sys.executable, "-c", ASKS_FOR_MORE, kind]
    done = subprocess.run(
        command, env={"ARROW_DEFAULT_MEMORY_POOL": pool}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"


GROUPS = {"v2": "0::/docker/abc\n", "v1": "4:memory,cpu:/docker/abc\n0::/\n"}


@pytest.mark.parametrize(
    ("version", "place"),
    [
        ("v2", "memory.max"),
        ("v2", "docker/abc/memory.max"),
        ("v2", "docker/memory.max"),
        ("v1", "memory/memory.limit_in_bytes"),
        ("v1", "memory/docker/abc/memory.limit_in_bytes"),
    ],
)
@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("6000000000\n", 1_500_000_000),
        ("2000000000\n", LEAST_BYTES),
        ("max\n", None),
        ("9223372036854771712\n", None),
    ],
)
def test_a_run_has_a_quarter_of_its_container_or_machine(
    tmp_path: Path, version: str, place: str, text: str, limit: int | None
) -> None:
    for name, content in (("proc/self/cgroup", GROUPS[version]), (f"sys/fs/cgroup/{place}", text)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    machine = max(LEAST_BYTES, min(MOST_BYTES, psutil.virtual_memory().total // 4))
    assert default_bytes(tmp_path) == (min(limit, machine) if limit else machine)


def test_without_a_container_limit_the_machine_counts(tmp_path: Path) -> None:
    assert LEAST_BYTES <= default_bytes(tmp_path) <= MOST_BYTES


def test_a_lack_of_memory_is_recognised_behind_later_errors() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_out_of_memory(None)
    behind = ValueError("cannot convert")
    behind.__context__ = MemoryError()
    assert is_out_of_memory(behind)
