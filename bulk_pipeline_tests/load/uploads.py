"""The uploads: files of all tables in both modes, created in advance, so that this takes no time during the load."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice
from typing import Any

from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Mode
from bulk_pipeline.tables import customers, in_load_order, users
from bulk_pipeline_tests.faults.evidence import Drop
from bulk_pipeline_tests.faults.workload import BAD_EVERY, drop_of

_BAD = Fraction(1, BAD_EVERY)
_AT_ONCE = 32
_LARGE_SEED = 1_000_000


@dataclass(frozen=True)
class Sent:
    """`late_seconds`: delay of the last upload against the plan. `slowest_seconds`: longest upload."""

    drops: Sequence[Drop]
    seconds: float
    late_seconds: float
    slowest_seconds: float


def small(files: int, rows: int) -> list[Drop]:
    """Yield files, parents before their children; every second file of a table changes rows of the one before."""
    return list(islice(_rounds(rows), files))


def _rounds(rows: int) -> Iterator[Drop]:
    for seed in count(1):
        format_ = random.Random(seed).choice(list(Format))
        for table in in_load_order():
            for mode, revision in ((Mode.INSERT_ONLY, 0), (Mode.UPSERT, 1)):
                sample = Sample(table, rows, seed, _BAD, revision=revision)
                yield drop_of(sample, mode, format_, f"{seed}-{revision}")


def large(rows: int) -> list[Drop]:
    return [
        drop_of(Sample(table, rows, _LARGE_SEED, _BAD), Mode.INSERT_ONLY, Format.CSV, "large")
        for table in (customers.TABLE, users.TABLE)
    ]


def send(client: Any, drops: Sequence[Drop], per_second: float) -> Sent:
    """Put the files into the bucket, `per_second` of them; raises the store's exceptions."""
    started, late = time.monotonic(), 0.0
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        sending: list[Future[float]] = []
        for number, drop in enumerate(drops):
            ahead = started + number / per_second - time.monotonic()
            late = max(late, -ahead)
            time.sleep(max(0.0, ahead))
            sending.append(threads.submit(put, client, drop))
        slowest = max(sent.result() for sent in sending)
    return Sent(drops, time.monotonic() - started, late, slowest)


def put(client: Any, drop: Drop) -> float:
    started = time.monotonic()
    client.put_object(Bucket="uploads", Key=drop.key, Body=drop.content, Metadata={"mode": drop.mode})
    return time.monotonic() - started
