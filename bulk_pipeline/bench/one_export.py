"""One export in a separate process, so that its memory can be measured; JSON on stdin, JSON on stdout.

`python -m bulk_pipeline.bench.one_export`. In: `request` as in run config, `file` to write, or None for a job into the
bucket, and `settings`. Out: the fields of `OneExport`. Imports, and the start of Python, are not measured.
"""

import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.pipeline.stream import stream_export
from bulk_pipeline.settings import read_settings
from bulk_pipeline.stages.export.request import ExportRequest, read_request

_HEADER_BYTES = 1_000


@dataclass(frozen=True)
class OneExport:
    """`first_byte_seconds`: time until the first row was in the file; None for a job."""

    seconds: float
    rows: int
    bytes: int
    first_byte_seconds: float | None
    peak_rss_bytes: int


def main() -> None:
    task = orjson.loads(sys.stdin.buffer.read())
    stores, request = Stores(read_settings(**task["settings"])), read_request(task["request"])
    result = _job(stores, request) if task["file"] is None else _file(stores, request, Path(task["file"]))
    sys.stdout.buffer.write(orjson.dumps(asdict(result)))


def _file(stores: Stores, request: ExportRequest, path: Path) -> OneExport:
    started = time.perf_counter()
    with path.open("wb") as file:
        timed = _Timed(file)
        part = stream_export(stores.database_url, request, timed)
    seconds = time.perf_counter() - started
    first = timed.first_row_at - started if timed.first_row_at else None
    return OneExport(seconds, part.rows, part.bytes, first, _peak_rss_bytes())


def _job(stores: Stores, request: ExportRequest) -> OneExport:
    job = stores.exports.ask(request, run_id="bench")
    started = time.perf_counter()
    done = export_job(stores, job.id, "bench", lambda _: None, lambda: False)
    return OneExport(
        time.perf_counter() - started, done.rows_written, done.bytes_written, None, _peak_rss_bytes()
    )


class _Timed:
    """A file that notes the time of the first rows: the first write larger than any header."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.first_row_at: float | None = None

    def write(self, data: Any, /) -> None:  # anything with a buffer
        self._file.write(data)
        if self.first_row_at is None and memoryview(data).nbytes > _HEADER_BYTES:
            self.first_row_at = time.perf_counter()


def _peak_rss_bytes() -> int:
    """Return the peak of this program alone; `getrusage` includes the process before exec."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return int(peak[1]) * 1024


if __name__ == "__main__":
    main()
