"""Mutates files of every format until one breaks the parser or costs too much: `make fuzz SECONDS=n`.

An input depends only on its seed. An input that breaks something, or takes memory or time out of proportion, is written to a folder under a name
that says how to read it; small ones belong to `regressions/` beside this file, which the tests replay.
"""

import argparse
import datetime
import decimal
import gzip
import io
import json
import random
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import zstandard
from pyarrow import parquet

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits, open_upload, write_clean_csv
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.unit.messy.clean import clean
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

LIMITS = Limits(
    ratio_from_bytes=5_000_000, unpacked_bytes=50_000_000, sheet_bytes=5_000_000, sheet_cells=100_000
)
SECONDS_FOR_ANY, SECONDS_PER_BYTE = 2.0, 20e-6
PEAK_FOR_ANY, PEAK_PER_BYTE = 50_000_000, 100
"""Peak memory allowed for reading an input with and without a table, validating it, and rewriting it."""
TOKENS = (
    b'"', b"'", b",", b";", b"\t", b"|", b"\\", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b'""', b'\\"', b"{", b"}", b"[", b"]", b":", b"null", b"NaN", b"-0", b"1e999", b"9" * 400, b"Infinity",
    b'"\\ud800"', b"\\u0000", b"[" * 2000, b'{"a":' * 500, b'{"email":1,"email":2}', b"email,id\n", b"\x1a", b"\x1f\x8b",
    b"PK\x03\x04", b"PAR1", b"\x28\xb5\x2f\xfd", b" " * 300, b"\xed\xa0\x80", b"\xc0\x80", "\u2028".encode(),
)  # fmt: skip


@cache
def corpus() -> dict[str, bytes]:
    """Return a good file of every format, by name."""
    result: dict[str, bytes] = {}
    for table in tables.names():
        file = clean(table)
        result[f"{table}.csv"] = b"".join(piece.text for piece in file.pieces)
        rows = [dict(zip(file.names, cells, strict=True)) for cells in file.cells]
        result[f"{table}.ndjson"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        result[f"{table}.json"] = json.dumps(rows, indent=1).encode()
        result[f"{table}.xlsx"] = workbook([list(file.names), *map(list, file.cells)])
        result[f"{table}.parquet"] = _parquet(pa.Table.from_pylist(rows))
    result["types.parquet"] = _parquet(_every_type())
    text = result["users.csv"]
    result["users.csv.gz"] = gzip.compress(text, mtime=0)
    result["users.csv.zst"] = zstandard.ZstdCompressor().compress(text)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("users.csv"), text)
    result["users.zip"] = packed.getvalue()
    return result


def mutated(seed: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a mutated file."""
    draw = random.Random(seed)
    name = draw.choice(sorted(corpus()))
    data = bytearray(corpus()[name])
    damage(data, draw)
    return name, bytes(data)


def damage(data: bytearray, draw: random.Random) -> None:
    """Change one to twelve places of the data."""
    for _ in range(draw.choice((1, 1, 2, 4, 12))):
        at = draw.randrange(len(data) + 1)
        until = min(len(data), at + draw.choice((1, 1, 4, 60)))
        change = draw.randrange(6)
        if change == 0:
            data[at:at] = draw.choice(TOKENS)
        elif change == 1:
            data[at:until] = draw.choice(TOKENS)
        elif change == 2:
            del data[at:until]
        elif change == 3 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif change == 4:
            other = corpus()[draw.choice(sorted(corpus()))]
            start = draw.randrange(len(other))
            data[at:at] = other[start : start + draw.choice((10, 200, 5000))]
        else:
            data[at:at] = data[at:until] * draw.choice((2, 50))


@dataclass(frozen=True)
class Cost:
    """The cost of reading one input: processor seconds, and additional bytes of memory."""

    seconds: float
    peak_bytes: int

    def refuse(self, input_bytes: int, slack: float = 1.0) -> None:
        """Raise `AssertionError` if an input of this size costs too much."""
        seconds = slack * (SECONDS_FOR_ANY + SECONDS_PER_BYTE * input_bytes)
        assert self.seconds < seconds, f"{input_bytes:,} bytes took {self.seconds:.1f} s, bound {seconds:.1f}"
        peak = PEAK_FOR_ANY + PEAK_PER_BYTE * input_bytes
        assert self.peak_bytes < peak, (
            f"{input_bytes:,} bytes took {self.peak_bytes:,} of memory, bound {peak:,}"
        )


def cost(call: Callable[[], object]) -> Cost:
    """Return the cost of a call, after resetting the kernel's peak memory of the process (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, started = _memory("VmRSS"), time.process_time()
    call()
    return Cost(time.process_time() - started, max(0, _memory("VmHWM") - before))


def _memory(what: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition(f"{what}:")[2].split()[0]) * 1024


def read(name: str, data: bytes) -> None:
    """Parse with and without a table, validate and rewrite; any exception but `FileError` is a bug."""
    declared = tables.get(name.split(".")[0]) if name.split(".")[0] in tables.names() else tables.get("users")
    for table in (declared, None):
        try:
            upload = open_upload(io.BytesIO(data), name, table=table, limits=LIMITS)
            for parsed in upload:
                rows = set(parsed.records["_row"].to_pylist()) | set(parsed.failures["row"].to_pylist())
                assert rows == set(parsed.raw["_row"].to_pylist()), "a row is in neither records nor failures"
                if table is not None and parsed.records.num_rows:
                    validate(parsed.records, parsed.failures, table, table.default_mode)
            if table is None:
                again = open_upload(io.BytesIO(data), name, limits=LIMITS)
                write_clean_csv(again, io.BytesIO())
        except FileError:
            continue


def campaign(seed: int, seconds: float, keep: Path, say: Callable[[str], object]) -> int:
    """Return the number of inputs that broke something; each is stored."""
    until, broken, number = time.monotonic() + seconds, 0, seed
    slowest, largest = Cost(0, 0), Cost(0, 0)
    while time.monotonic() < until:
        name, data = mutated(number)
        try:
            result = cost(partial(read, name, data))
            slowest = max(slowest, result, key=attrgetter("seconds"))
            largest = max(largest, result, key=attrgetter("peak_bytes"))
            result.refuse(len(data))
        except Exception:
            broken += 1
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{number}.{name}").write_bytes(data)
            say(f"seed {number}, {name}:\n{traceback.format_exc(limit=-6)}\n")
        number += 1
    say(f"{number - seed} inputs from seed {seed} on, {broken} of them broke something or cost too much\n")
    say(f"the slowest took {slowest.seconds:.2f} s, the largest {largest.peak_bytes / 1e6:.0f} MB\n")
    return broken


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, compression="none")
    return out.getvalue()


def _every_type() -> pa.Table:
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=datetime.UTC)
    columns: dict[str, pa.Array] = {
        f"at_{unit}_{zone}": pa.array([moment, None], pa.timestamp("us", "UTC")).cast(
            pa.timestamp(unit, zone), safe=False
        )
        for unit in ("s", "ms", "us", "ns")
        for zone in ("UTC", "+02:00")
    }
    columns |= {
        "decimal": pa.array(
            [decimal.Decimal("123456789012345678901234567890.123"), None], pa.decimal128(38, 3)
        ),
        "wide": pa.array([decimal.Decimal(10) ** 60, None], pa.decimal256(70, 2)),
        "email": pa.array(["a@b.co", None]).dictionary_encode(),
        "nested": pa.array([{"a": [{"b": "x"}, None]}, None]),
        "list": pa.array([["x", None], []], pa.list_(pa.string())),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "day": pa.array([moment.date(), None]),
        "time": pa.array([moment.time(), None]),
        "binary": pa.array([b"\xff\0", None]),
        "float": pa.array([float("nan"), float("inf")]),
        "large": pa.array([2**63 - 1, -(2**63)]),
        "null": pa.nulls(2),
    }
    return pa.table(columns)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    given = options.parse_args()
    sys.exit(campaign(given.seed, given.seconds, given.keep, sys.stdout.write) > 0)


if __name__ == "__main__":
    main()
