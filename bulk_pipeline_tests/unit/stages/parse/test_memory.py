"""Reading a file of any length takes bounded memory."""

import os
import subprocess
import sys

import pytest

from bulk_pipeline.orchestration.launch.code_server import MEMORY

SCRIPT = """
import io, sys
from pathlib import Path
from bulk_pipeline import tables
from bulk_pipeline.stages.parse import open_upload

kind, megabytes = sys.argv[1], int(sys.argv[2])
row = {
    "csv": b"user%d@example.com,Ana,%b,Rome\\n",
    "ndjson": b'{"email":"user%d@example.com","first_name":"Ana","last_name":"%b"}\\n',
    "json": b'{"email":"user%d@example.com","first_name":"Ana","last_name":"%b"},\\n',
}[kind]
first = {"csv": b"email,first_name,last_name,city\\n", "ndjson": b"", "json": b"["}[kind]

class Endless(io.RawIOBase):
    def __init__(self):
        self.left, self.number, self.waiting = megabytes << 20, 0, first

    def read(self, size=-1):
        if self.left <= 0 and not self.waiting:
            return b""
        rows = b"".join(row % (n, b"x" * 50) for n in range(self.number, self.number + 8000))
        found = self.waiting + (rows[: -len(rows) // 2] + b'bad,"\\n' if self.number % 80_000 == 0 else rows)
        self.waiting = b""
        self.number += 8000
        self.left -= len(found)
        return found

def peak():
    # `ru_maxrss` would be that of the process this one was forked from, if that was larger.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10

before, rows = peak(), 0
for parsed in open_upload(Endless(), "upload." + kind, table=tables.get("customers")):
    rows += parsed.records.num_rows
print(rows, peak() - before)
"""


@pytest.mark.parametrize(
    ("kind", "megabytes", "most"),
    [
        ("csv", 60, 210),
        ("ndjson", 40, 130),
        ("json", 50, 165),
        pytest.param("csv", 300, 210, marks=pytest.mark.long),
        pytest.param("ndjson", 300, 130, marks=pytest.mark.long),
        pytest.param("json", 300, 165, marks=pytest.mark.long),
    ],
)
def test_memory_does_not_grow_with_the_file(kind: str, megabytes: int, most: int) -> None:
    """`most` is in megabytes, including imports, with the settings of run processes."""
    command = [sys.executable, "-c", SCRIPT, kind, str(megabytes)]
    environment = os.environ | MEMORY
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows, grown = map(int, answer.stdout.split())
    assert rows > megabytes * 5_000
    assert grown < most
