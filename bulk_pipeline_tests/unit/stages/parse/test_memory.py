"""However long a file is, reading it takes a bounded amount of memory."""

import subprocess
import sys

import pytest

SCRIPT = """
import io, resource, sys
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

upload = open_upload(Endless(), "upload." + kind, table=tables.get("customers"))
before, rows = None, 0
for parsed in upload:
    rows += parsed.records.num_rows
    before = before or peak()
print(rows, peak() - before)
"""


@pytest.mark.parametrize(
    ("kind", "megabytes", "most"),
    [
        ("csv", 60, 110),
        ("ndjson", 40, 60),
        ("json", 50, 150),
        pytest.param("csv", 300, 110, marks=pytest.mark.long),
        pytest.param("ndjson", 300, 60, marks=pytest.mark.long),
        pytest.param("json", 300, 150, marks=pytest.mark.long),
    ],
)
def test_memory_does_not_grow_with_the_file(kind: str, megabytes: int, most: int) -> None:
    """`most`: megabytes on top of what the first batch takes."""
    command = [sys.executable, "-c", SCRIPT, kind, str(megabytes)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    rows, grown = map(int, answer.stdout.split())
    assert rows > megabytes * 5_000
    assert grown < most
