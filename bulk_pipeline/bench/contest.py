"""Both sides of a load: bring a table into the state the workload wants, measure, and check what came of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bulk_pipeline.bench import database, floor
from bulk_pipeline.bench.choices import LoadMode
from bulk_pipeline.bench.files import write_good, write_upload
from bulk_pipeline.bench.imports import Imported, between, import_file
from bulk_pipeline.bench.memory import Watch, watching
from bulk_pipeline.bench.outcome import check, check_content, outcome
from bulk_pipeline.bench.results import Measured, Ours
from bulk_pipeline.bench.rig import Rig
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.samples.sample import Expected

_WARM_UP_ROWS = 1000
_INTO_EMPTY = (LoadMode.INSERT_ONLY, LoadMode.UPSERT)


@dataclass(frozen=True)
class Contest:
    """`upload`: the file to drop. `good`: its good rows for psql. `base`: the same keys, as they are before.

    `keys`: every drop gets a new one, so that it is a new object. `expected`: of the upload in an empty table.
    """

    rig: Rig
    workload: Workload
    upload: Path
    good: Path
    base: Path | None
    expected: Expected
    keys: Iterator[int]

    @property
    def has_random_ids(self) -> bool:
        """Whether the database makes the ids of all rows, so that their default matters."""
        return self.workload.mode in _INTO_EMPTY and self.workload.declared.id_optional

    @property
    def floor_is(self) -> str:
        if self.workload.mode in _INTO_EMPTY:
            return "\\copy into an identical empty table"
        what = "NOTHING" if self.workload.mode is LoadMode.REIMPORT else "UPDATE"
        return f"\\copy into a temporary table, INSERT … ON CONFLICT DO {what}"

    def ours(self) -> Ours:
        table, rig = self.workload.declared, self.rig
        name = f"public.{table.name}"
        if not self.workload.mode.is_reimport:
            database.empty(rig.url, name)
            self._fill(name)
        database.settle(rig.url, name)
        wal_before = database.wal_position(rig.url)
        with watching(rig.service("code_server")) as watch:
            imported = self._import(self.upload, self.workload.rows)
        wal_bytes = database.wal_position(rig.url) - wal_before
        check(imported.job, imported.counts, outcome(self.workload, self.expected))
        check_content(name, database.content(rig.url, table, self.expected.checksum_columns), self.expected)
        return _measured(imported, watch, wal_bytes, self.workload.rows)

    def floor(self, *, random_ids: bool = False) -> Measured:
        table, rig = self.workload.declared, self.rig
        name = database.make_twin(rig.url, table, random_ids=random_ids)
        is_there = self.workload.mode.is_reimport
        if is_there:
            database.fill_from(rig.url, name, f"public.{table.name}")
        self._fill(name)
        database.settle(rig.url, name)
        wal_before = database.wal_position(rig.url)
        seconds = rig.psql.seconds(self._script(name))
        wal_bytes = database.wal_position(rig.url) - wal_before
        rows = self.workload.sample.good_rows
        found, wanted = database.count(rig.url, name), self.expected.inserted if is_there else rows
        if found != wanted:
            raise WrongResultError(f"the floor's table has {found} rows, must have {wanted}")
        database.drop_twin(rig.url, table)
        return Measured(
            seconds=round(seconds, 4), rows=rows, wal_bytes=wal_bytes, rows_per_second=round(rows / seconds)
        )

    def close(self) -> None:
        """Remove the files, which may be large."""
        for file in (self.upload, self.good, self.base):
            if file is not None:
                file.unlink()

    def warm_up(self) -> None:
        """An import that is not measured: of some rows or, where the table must hold the file, of all."""
        if self.workload.mode.is_reimport:
            database.empty(self.rig.url, f"public.{self.workload.table}")
            imported = self._import(self.upload, self.workload.rows)
            first = LoadMode(self.workload.mode.mode)
            check(imported.job, imported.counts, outcome(replace(self.workload, mode=first), self.expected))
            return
        folder = self.rig.folder / "warm-up"
        folder.mkdir(exist_ok=True)
        some = replace(self.workload, rows=min(self.workload.rows, _WARM_UP_ROWS))
        self._import(write_upload(some, folder)[0], some.rows)

    def _import(self, file: Path, rows: int) -> Imported:
        key = f"{self.workload.key_folder}/bench-{next(self.keys)}{file.suffix}"
        return import_file(self.rig, key, file, rows=rows)

    def _fill(self, name: str) -> None:
        if self.base is not None:
            self.rig.psql.seconds(floor.copy(name, self._columns, self.base))

    def _script(self, name: str) -> str:
        if self.workload.mode in _INTO_EMPTY:
            return floor.copy(name, self._columns, self.good)
        return floor.merge(name, self.workload.declared, self._columns, self.good, self.workload.mode.mode)

    @property
    def _columns(self) -> list[str]:
        return [column.name for column in self.workload.sample.columns]


def prepare(rig: Rig, workload: Workload, keys: Iterator[int]) -> Contest:
    """Load the parents, write the files, import once for warm caches. Nothing of it is measured."""
    for sample in workload.parent_samples():
        file = write_good(sample, rig.folder / "parents.csv")
        name = f"public.{sample.table.name}"
        database.empty(rig.url, name)
        rig.psql.seconds(floor.copy(name, [column.name for column in sample.columns], file))
        database.settle(rig.url, name)
        file.unlink()
    upload, expected = write_upload(workload, rig.folder)
    good = write_good(workload.sample, rig.folder / "good.csv")
    has_base = workload.mode is LoadMode.UPSERT_EXISTING
    base = write_good(workload.base, rig.folder / "base.csv") if has_base else None
    contest = Contest(rig, workload, upload, good, base, expected, keys)
    contest.warm_up()
    return contest


def _measured(imported: Imported, watch: Watch, wal_bytes: int, rows: int) -> Ours:
    job = imported.job
    seconds, claim_seconds = between(job.started_at, job.finished_at), imported.claim_seconds
    return Ours(
        seconds=seconds,
        rows=rows,
        wal_bytes=wal_bytes,
        rows_per_second=round(rows / seconds),
        claim_seconds=claim_seconds,
        seconds_with_claim=round(seconds + claim_seconds, 4),
        drop_to_started_seconds=between(imported.dropped_at, job.started_at),
        drop_to_finished_seconds=between(imported.dropped_at, job.finished_at),
        step_seconds=imported.step_seconds,
        peak_rss_bytes=watch.peak.rss_bytes,
        peak_private_bytes=watch.peak.private_bytes,
        status=str(job.status),
        counts=asdict(imported.counts),
        failures=job.failure_counts,
    )
