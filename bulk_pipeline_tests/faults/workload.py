"""The workload: files of all tables in both modes, which share keys, and requests for exports."""

import io
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bulk_pipeline import tables
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.exports import Exports
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.export.formats import Compression
from bulk_pipeline.stages.export.formats import Format as ExportFormat
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.faults.evidence import Drop
from bulk_pipeline_tests.faults.rig import Rig

BAD_EVERY = 20
_BAD = Fraction(1, BAD_EVERY)
_WAIT_SECONDS = 90
_ONCE = {"orders", "order_lines"}
"""Tables whose samples have the same ids, from 1 on, for each seed: only the first round has files of them."""


@dataclass
class Workload:
    """Files of one seed. Each round has its own rows, which three files of a table share in part.

    Files of two rounds are imported in any order. If they shared keys, the outcome of each would depend on it.

    `into`: the tables, parents before their children.
    """

    rig: Rig
    seed: int
    rows: int
    into: Sequence[Table] = field(default_factory=tables.in_load_order)
    drops: list[Drop] = field(default_factory=list)
    rounds: int = 0

    def feed(self) -> None:
        """Drop one more round, parents first, with three files of each table, and request exports."""
        self.rounds += 1
        random_ = random.Random(f"{self.seed}/{self.rounds}")
        format_ = random_.choice(list(Format))
        sizes = {table.name: [self._size(random_) for _ in range(3)] for table in self.into}
        parents = {name: min(of) - min(of) // BAD_EVERY for name, of in sizes.items()}
        client = self.rig.dropper
        for table in self.into:
            if table.name in _ONCE and self.rounds > 1:
                continue
            kinds = [(Mode.INSERT_ONLY, 0), (Mode.UPSERT, 1), (random_.choice(list(Mode)), 2)]
            random_.shuffle(kinds)
            for (mode, revision), rows in zip(kinds, sizes[table.name], strict=True):
                known = {name: parents[name] for name in table.parents}
                seed = self.seed * 1000 + self.rounds
                sample = Sample(table, rows, seed, _BAD, known, revision)
                self._drop(client, drop_of(sample, mode, format_, f"{self.seed}-{self.rounds}-{revision}"))
            self._ask(table.name, random_)

    def _size(self, random_: random.Random) -> int:
        return random_.randrange(self.rows // 2, self.rows)

    def _drop(self, client: Any, drop: Drop) -> None:
        """Put the file. If the store does not answer, put it again under another name: it may have stored the first."""
        deadline, tries = time.monotonic() + _WAIT_SECONDS, 0
        folder, name = drop.key.rsplit("/", 1)
        while True:
            key = f"{folder}/{tries}-{name}"
            this = Drop(**{**vars(drop), "key": key})
            try:
                client.put_object(Bucket="uploads", Key=key, Body=drop.content, Metadata={"mode": drop.mode})
            except (BotoCoreError, ClientError):
                self.drops.append(Drop(**{**vars(this), "is_acknowledged": False}))
                if time.monotonic() > deadline:
                    raise
                tries += 1
                time.sleep(0.3)
            else:
                self.drops.append(this)
                return

    def _ask(self, table: str, random_: random.Random) -> None:
        request = ExportRequest.of(
            table=table,
            format=random_.choice([ExportFormat.CSV, ExportFormat.NDJSON]),
            compression=random_.choice([Compression.NONE, Compression.GZIP]),
            rows_per_part=500,
        )
        key, deadline = f"{self.seed}/{self.rounds}", time.monotonic() + _WAIT_SECONDS
        while True:
            postgres = Postgres(self.rig.database_url)
            try:
                Exports(postgres).ask(request, idempotency_key=key)
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
            else:
                return
            finally:
                postgres.close()


def drop_of(sample: Sample, mode: Mode, format_: Format, name: str) -> Drop:
    out = io.BytesIO()
    expected = sample.write(out, format_)[mode]
    return Drop(
        key=f"{sample.table.name}/{name}.{format_}",
        table=sample.table.name,
        mode=str(mode),
        content=out.getvalue(),
        rows=expected.rows,
        codes=dict(expected.codes),
        bad_every=BAD_EVERY,
    )
