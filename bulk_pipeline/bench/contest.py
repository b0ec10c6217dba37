"""Both sides of a load: prepare a table for the workload, measure, and check the result."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import assert_never

from bulk_pipeline.bench import database, lower_bound
from bulk_pipeline.bench.choices import Before, LoadMode
from bulk_pipeline.bench.files import write_good, write_upload
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.imports import ImportTiming, between, import_file
from bulk_pipeline.bench.memory import Watch, watching
from bulk_pipeline.bench.outcome import check, check_content, outcome
from bulk_pipeline.bench.results import Measurement, Ours
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.samples.sample import Expected
from bulk_pipeline.schema import Mode

_WARM_UP_ROWS = 1000


@dataclass(frozen=True)
class Contest:
    """`upload`: the file to drop. `good`: its good rows for psql. `base`: rows with the same keys, loaded before.

    `keys`: numbers for object keys, one per drop. `expected`: result of the upload in an empty table.
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
        """Return whether the database creates the ids of all rows, so that their default matters."""
        declared = self.workload.declared
        makes_ids = {"id"} & {*declared.column_names} - {*declared.required_columns(Mode.INSERT_ONLY)}
        return self.workload.mode.before is Before.NONE and bool(makes_ids)

    @property
    def floor_is(self) -> str:
        if self.workload.mode.before is Before.NONE:
            return "\\copy into an identical empty table"
        match self.workload.mode.mode:
            case Mode.INSERT_ONLY:
                action = "NOTHING"
            case Mode.UPSERT:
                action = "UPDATE"
            case other:
                assert_never(other)
        return f"\\copy into a temporary table, INSERT … ON CONFLICT DO {action}"

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

    def floor(self, *, random_ids: bool = False) -> Measurement:
        table, rig = self.workload.declared, self.rig
        name = database.make_twin(rig.url, table, random_ids=random_ids)
        is_reimport = self.workload.mode.is_reimport
        if is_reimport:
            database.fill_from(rig.url, name, f"public.{table.name}")
        self._fill(name)
        database.settle(rig.url, name)
        wal_before = database.wal_position(rig.url)
        seconds = rig.psql.seconds(self._script(name))
        wal_bytes = database.wal_position(rig.url) - wal_before
        rows = self.workload.sample.good_rows
        actual, wanted = database.count(rig.url, name), self.expected.inserted if is_reimport else rows
        if actual != wanted:
            raise WrongResultError(f"the floor's table has {actual} rows, must have {wanted}")
        database.drop_twin(rig.url, table)
        return Measurement(
            seconds=round(seconds, 4), rows=rows, wal_bytes=wal_bytes, rows_per_second=round(rows / seconds)
        )

    def close(self) -> None:
        """Remove the files, which may be large."""
        for file in (self.upload, self.good, self.base):
            if file is not None:
                file.unlink()

    def warm_up(self) -> None:
        """Run an import that is not measured: of some rows or, if the table must hold the file, of all."""
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

    def _import(self, file: Path, rows: int) -> ImportTiming:
        key = f"{self.workload.key_folder}/bench-{next(self.keys)}{file.suffix}"
        return import_file(self.rig, key, file, rows=rows)

    def _fill(self, name: str) -> None:
        if self.base is not None:
            self.rig.psql.seconds(lower_bound.copy(name, self._columns, self.base))

    def _script(self, name: str) -> str:
        if self.workload.mode.before is Before.NONE:
            return lower_bound.copy(name, self._columns, self.good)
        return lower_bound.merge(
            name, self.workload.declared, self._columns, self.good, self.workload.mode.mode
        )

    @property
    def _columns(self) -> list[str]:
        return [column.name for column in self.workload.sample.columns]


def prepare(rig: Rig, workload: Workload, keys: Iterator[int]) -> Contest:
    """Load the parents, write the files, and import once to warm up. None of this is measured."""
    for sample in workload.parent_samples():
        file = write_good(sample, rig.folder / "parents.csv")
        name = f"public.{sample.table.name}"
        database.empty(rig.url, name)
        rig.psql.seconds(lower_bound.copy(name, [column.name for column in sample.columns], file))
        database.settle(rig.url, name)
        file.unlink()
    upload, expected = write_upload(workload, rig.folder)
    good = write_good(workload.sample, rig.folder / "good.csv")
    has_base = workload.mode.before is Before.EARLIER_VALUES
    base = write_good(workload.base, rig.folder / "base.csv") if has_base else None
    contest = Contest(rig, workload, upload, good, base, expected, keys)
    contest.warm_up()
    return contest


def _measured(imported: ImportTiming, watch: Watch, wal_bytes: int, rows: int) -> Ours:
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
