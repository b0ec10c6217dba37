"""One export in a process of its own, so that its memory is its own; JSON in on stdin, JSON out on stdout.

`python -m bulk_pipeline.bench.one_export`. In: `request` as run config has it, `file` to write, or None for a job into
the bucket, and `settings`. Out: the fields of `Once`. Imports, and the start of Python, are not measured.
"""

import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from bulk_pipeline.orchestration.exporting import export_job
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.orchestration.streaming import stream_export
from bulk_pipeline.settings import read_settings
from bulk_pipeline.stages.export.request import ExportRequest, read_request

_HEADER_BYTES = 1_000


@dataclass(frozen=True)
class Once:
    """`first_byte_seconds`: until there was a first row in the file; None for a job."""

    seconds: float
    rows: int
    bytes: int
    first_byte_seconds: float | None
    peak_rss_bytes: int


def main() -> None:
    given = orjson.loads(sys.stdin.buffer.read())
    stores, request = Stores(read_settings(**given["settings"])), read_request(given["request"])
    once = _job(stores, request) if given["file"] is None else _file(stores, request, Path(given["file"]))
    sys.stdout.buffer.write(orjson.dumps(asdict(once)))


def _file(stores: Stores, request: ExportRequest, path: Path) -> Once:
    started = time.perf_counter()
    with path.open("wb") as file:
        timed = _Timed(file)
        part = stream_export(stores.database_url, request, timed)
    seconds = time.perf_counter() - started
    first = timed.first_row_at - started if timed.first_row_at else None
    return Once(seconds, part.rows, part.bytes, first, _peak_rss_bytes())


def _job(stores: Stores, request: ExportRequest) -> Once:
    job = stores.exports.ask(request, run_id="bench")
    started = time.perf_counter()
    done = export_job(stores, job.id, "bench", lambda _: None, lambda: False)
    return Once(time.perf_counter() - started, done.rows_written, done.bytes_written, None, _peak_rss_bytes())


class _Timed:
    """A file that knows when rows came: more at once than any header, which is written first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.first_row_at: float | None = None

    def write(self, data: Any, /) -> None:  # whatever has a buffer
        self._file.write(data)
        if self.first_row_at is None and memoryview(data).nbytes > _HEADER_BYTES:
            self.first_row_at = time.perf_counter()


def _peak_rss_bytes() -> int:
    """Of this program alone: what `getrusage` gives begins with what the process had before it was this one."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
