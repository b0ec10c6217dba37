"""`export`: a table to a file in each format, and psql's `\\copy (SELECT …) TO` a file, in turns."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from bulk_pipeline.bench import database, lower_bound
from bulk_pipeline.bench.files import write_good
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.one_export import OneExport
from bulk_pipeline.bench.paired import Spread, in_turns, spread
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import StackError, WrongResultError

Tell = Callable[[str], None]

WAYS: dict[str, dict[str, str]] = {
    "csv": {"format": "csv"},
    "ndjson": {"format": "ndjson"},
    "parquet (zstd)": {"format": "parquet", "compression": "zstd"},
    "csv, a job into S3": {"format": "csv"},
}
_JOB = "csv, a job into S3"
_FLOOR = "floor"


@dataclass(frozen=True, kw_only=True)
class Way:
    """`ratio`: our seconds divided by the floor's in the same turn."""

    ratio: Spread
    seconds: Spread
    rows_per_second: int
    first_byte_seconds: float | None
    peak_rss_bytes: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class ExportTimings:
    """`floor_seconds`: time of `\\copy (SELECT … ORDER BY` the primary key`) TO` a local file, as CSV."""

    table: str
    rows: int
    floor_seconds: Spread
    ways: Mapping[str, Way]


def run(rig: Rig, workload: Workload, pairs: int, say: Tell) -> ExportTimings:
    """Measure. Raises `WrongResultError` if an export lacks rows."""
    for sample in [*workload.parent_samples(), workload.sample]:
        file = write_good(sample, rig.folder / "rows.csv")
        rig.psql.seconds(
            lower_bound.copy(f"public.{sample.table.name}", [c.name for c in sample.columns], file)
        )
        file.unlink()
    database.settle(rig.url, f"public.{workload.table}")
    contenders: dict[str, Callable[[], OneExport]] = {_FLOOR: partial(_floor, rig, workload)}
    contenders |= {name: partial(_ours, rig, workload, name) for name in WAYS}
    measured: list[dict[str, OneExport]] = []
    for number, turn in enumerate(in_turns(pairs, contenders), 1):
        measured.append(turn)
        base = turn[_FLOOR].seconds
        ratios = ", ".join(f"{name} {turn[name].seconds / base:.2f}" for name in WAYS)
        say(f"turn {number} of {pairs}: floor {base:.2f} s, ratios {ratios}")
    return ExportTimings(
        table=workload.table,
        rows=workload.rows,
        floor_seconds=spread([turn[_FLOOR].seconds for turn in measured]),
        ways={name: _way(name, measured) for name in WAYS},
    )


def _floor(rig: Rig, workload: Workload) -> OneExport:
    columns = ", ".join(workload.declared.column_names)
    path = rig.folder / "floor.csv"
    order = ", ".join(workload.declared.primary_key)
    query = f"SELECT {columns} FROM public.{workload.table} ORDER BY {order}"  # noqa: S608 - declared names
    seconds = rig.psql.seconds(f"\\copy ({query}) TO '{path}' WITH (FORMAT csv, HEADER true)\n")
    size = path.stat().st_size
    path.unlink()
    return OneExport(seconds, workload.rows, size, None, 0)


def _ours(rig: Rig, workload: Workload, name: str) -> OneExport:
    path = rig.folder / "ours"
    task = {
        "request": {"table": workload.table, **WAYS[name]},
        "file": None if name == _JOB else str(path),
        "settings": rig.settings_given,
    }
    command = [sys.executable, "-m", "bulk_pipeline.bench.one_export"]
    ended = subprocess.run(command, input=orjson.dumps(task), capture_output=True, check=False)
    if ended.returncode:
        raise StackError(f"{name}: {ended.stderr.decode(errors='replace').strip()}")
    path.unlink(missing_ok=True)
    once = OneExport(**orjson.loads(ended.stdout))
    if once.rows != workload.rows:
        raise WrongResultError(f"{name}: {once.rows} rows, must be {workload.rows}")
    return once


def _way(name: str, measured: Sequence[Mapping[str, OneExport]]) -> Way:
    ours = [turn[name] for turn in measured]
    seconds = spread([once.seconds for once in ours])
    first = [once.first_byte_seconds for once in ours if once.first_byte_seconds is not None]
    return Way(
        ratio=spread([turn[name].seconds / turn[_FLOOR].seconds for turn in measured]),
        seconds=seconds,
        rows_per_second=round(ours[0].rows / seconds.median),
        first_byte_seconds=max(first, default=None),
        peak_rss_bytes=max(once.peak_rss_bytes for once in ours),
        bytes=ours[0].bytes,
    )
