"""The promises about rows, each as a function that returns the violations in the evidence.

Written from the documentation, without the package. It knows what the files hold by reading them itself, one line
a record: where there are defects, no record of a sample has line breaks inside.
"""

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bulk_pipeline_tests.faults.cells import differing, key_value
from bulk_pipeline_tests.faults.evidence import KEYS, Drop, Evidence
from bulk_pipeline_tests.faults.exported import broken_exports

_FORMULAS = tuple("'=+-@\t\r\n＝＋－＠")
"""Characters that start a formula in spreadsheets, and the apostrophe that defuses them in errors.csv."""
_COUNTS = ("inserted", "updated", "unchanged", "superseded", "rejected")


def violations(found: Evidence, drops: Sequence[Drop]) -> list[str]:
    """Yield every broken promise, as a sentence."""
    by_key = {drop.key: drop for drop in drops}
    broken = [*_missing_jobs(found, by_key), *_left_over(found), *broken_exports(found)]
    works = [Work(found, job, by_key[job["key"]]) for job in found.jobs if job["key"] in by_key]
    for work in works:
        broken += [f"job {work.name}: {problem}" for problem in work.problems()]
    for table in found.tables:
        broken += _table_problems(found, table, [work for work in works if work.drop.table == table])
    return broken


@dataclass(frozen=True)
class Work:
    """One job, its file, and all its results."""

    found: Evidence
    job: dict[str, Any]
    drop: Drop

    @property
    def name(self) -> str:
        return f"{self.job['id']} ({self.drop.key}, {self.drop.mode})"

    @cached_property
    def lines(self) -> list[bytes]:
        """The records of the file."""
        lines = self.drop.content.split(b"\n")[:-1]
        return lines if self.is_json else lines[1:]

    @property
    def batches(self) -> list[dict[str, Any]]:
        return self.found.batches_by_job[self.job["id"]]

    @property
    def is_json(self) -> bool:
        return self.drop.key.endswith(".ndjson")

    def record(self, row: int) -> dict[str, Any]:
        """The cells of a good row."""
        line = self.lines[row - 1].decode()
        if self.is_json:
            return json.loads(line)
        (cells,) = csv.reader([line])
        return dict(zip(self.header, cells, strict=True))

    @cached_property
    def header(self) -> list[str]:
        return next(csv.reader([self.drop.content[: self.drop.content.index(b"\n")].decode()]))

    @cached_property
    def reported(self) -> list[list[str]]:
        """The lines of errors.csv after its header: row, error, raw."""
        content = self._report("errors.csv").decode()
        return list(csv.reader(content.split("\n")[:-1]))[1:]

    @cached_property
    def rejected(self) -> set[int]:
        return {int(row) for row, *_ in self.reported}

    @cached_property
    def failures(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._report("errors.ndjson").splitlines()]

    @cached_property
    def existing(self) -> set[int]:
        """Rows that were rejected only because their keys existed in the table."""
        return {told["row"] for told in self.failures if told["code"] == "already_exists"}

    def problems(self) -> Iterator[str]:
        if self.job["status"] not in ("completed", "completed_with_errors", "failed"):
            yield f"is {self.job['status']}: {self.job['error']}"
            return
        yield from self._archive_problems()
        yield from self._batch_problems()
        yield from self._report_problems()
        yield from self._fate_problems()

    def _archive_problems(self) -> Iterator[str]:
        archived = self.found.objects["archive"].get(self.job["archive_key"] or "")
        if archived != self.drop.content:
            yield "the archive does not have the bytes that were dropped"
        if self.job["sha256"] != hashlib.sha256(self.drop.content).hexdigest():
            yield "the ledger has another checksum than the file"

    def _batch_problems(self) -> Iterator[str]:
        batches = self.batches
        next_row = 1
        for batch in batches:
            if batch["first_row"] != next_row:
                yield f"the ranges leap from row {next_row} to {batch['first_row']}"
            next_row = batch["last_row"] + 1
        if not self.drop.rows == self.job["total_rows"] == next_row - 1 == len(self.lines):
            yield f"{self.drop.rows} rows, {self.job['total_rows']} in the ledger, {next_row - 1} in its ranges"
        if (told := sum(batch[name] for batch in batches for name in _COUNTS)) != self.drop.rows:
            yield f"the counts add up to {told} of {self.drop.rows} rows"
        rejected = sum(batch["rejected"] for batch in batches)
        if rejected != len(self.rejected):
            yield f"{rejected} rows rejected by the ledger, {len(self.rejected)} in errors.csv"
        expected = (
            "failed" if rejected == self.drop.rows else "completed_with_errors" if rejected else "completed"
        )
        if self.job["status"] != expected:
            yield f"is {self.job['status']} and not {expected}: {self.job['error']}"

    def _report_problems(self) -> Iterator[str]:
        rows = [int(row) for row, *_ in self.reported]
        if rows != sorted(set(rows)):
            yield "errors.csv names a row twice, or not in order"
        for row, _, raw in self.reported:
            told = self.lines[int(row) - 1].decode("utf-8", "replace").replace("\0", "\ufffd")
            if raw != (f"'{told}" if told.startswith(_FORMULAS) else told):
                yield f"errors.csv does not show row {row} as it stands in the file"
        if sorted({told["row"] for told in self.failures}) != rows:
            yield "errors.ndjson tells of other rows than errors.csv"
        if Counter(told["code"] for told in self.failures) != self.job["failure_counts"]:
            yield "the ledger counts other failures than errors.ndjson tells"
        yield from self._rejected_problems(rows)
        listed = self.found.reports_by_job[str(self.job["id"])]
        if listed != set(self.job["reports"].values()) or len(listed) not in ((3, 4) if rows else (0,)):
            yield f"the bucket of reports has {sorted(listed)}, the ledger {self.job['reports']}"

    def _rejected_problems(self, rows: list[int]) -> Iterator[str]:
        content = self._report("rejected.ndjson" if self.is_json else "rejected.csv")
        told = content.split(b"\n")[0 if self.is_json else 1 : -1]
        starts = [b'{"_row":%d,' % row if self.is_json else b"%d," % row for row in rows]
        ends = [b"" if self.is_json else self.lines[row - 1] for row in rows]
        if len(told) != len(rows) or not all(
            line.startswith(start) and line.endswith(end)
            for line, start, end in zip(told, starts, ends, strict=True)
        ):
            yield "the file of rejected rows does not have them as they stand in the upload"

    def _fate_problems(self) -> Iterator[str]:
        """Check which rows were rejected, and why.

        A row that repeats the key of the row before it is refused as that one is: as existing, if the table has the key.
        """
        told = Counter(failure["code"] for failure in self.failures)
        told.pop("already_exists", None)
        if again := sum(row % self.drop.bad_every == 0 for row in self.existing):
            told["duplicate_in_file"] += again
        if dict(told) != self.drop.codes:
            yield f"failures {dict(sorted(told.items()))} and not {dict(sorted(self.drop.codes.items()))}"
        if wrong := {row for row in self.rejected - self.existing if row % self.drop.bad_every}:
            yield f"good rows are rejected: {sorted(wrong)[:5]}"
        if self.existing and self.drop.mode == "upsert":
            yield "an upsert has refused rows because they exist"

    def _report(self, name: str) -> bytes:
        return self.found.objects["reports"].get(f"{self.job['id']}/{name}", b"")


def _missing_jobs(found: Evidence, drops: dict[str, Drop]) -> Iterator[str]:
    jobs = Counter(job["key"] for job in found.jobs)
    for key, drop in drops.items():
        if jobs[key] > 1 or (drop.is_acknowledged and not jobs[key]):
            yield f"{key} has {jobs[key]} jobs"
    for key in jobs.keys() - drops.keys():
        yield f"{key} has a job, and nobody has dropped it"


def _left_over(found: Evidence) -> Iterator[str]:
    yield from (f"left over: {name}" for name in found.left_over)
    yield from (f"left in the inbox: {key}" for key in found.objects["uploads"])
    if found.leases:
        yield f"{found.leases} leases are left"
    archived = {job["archive_key"] for job in found.jobs}
    yield from (
        f"nobody's object in the archive: {key}" for key in found.objects["archive"].keys() - archived
    )
    jobs = {str(job["id"]) for job in found.jobs}
    yield from (
        f"nobody's report: {key}" for key in found.objects["reports"] if key.split("/")[0] not in jobs
    )


def _table_problems(found: Evidence, table: str, works: list[Work]) -> Iterator[str]:
    rows = found.tables[table]
    inserted = sum(batch["inserted"] for work in works for batch in work.batches)
    if inserted != len(rows):
        yield f"{table} has {len(rows)} rows, and the jobs have inserted {inserted}"
    places = [{key_value(row, key): row for row in rows} for key in KEYS[table]]
    claims: dict[int, list[tuple[Work, int, dict[str, Any]]]] = defaultdict(list)
    for work in works:
        for row in range(1, len(work.lines) + 1):
            if row in work.rejected and row not in work.existing:
                continue
            record = work.record(row)
            there = _stored(table, record, places, any_key=row in work.existing)
            if there is None:
                yield f"job {work.name}: row {row} is neither in {table} nor reported as it should be"
            elif row not in work.existing:
                claims[id(there)].append((work, row, record))
    for row in rows:
        yield from _claim_problems(table, row, claims[id(row)])


def _stored(
    table: str, record: dict[str, Any], places: Sequence[dict[Any, dict[str, Any]]], *, any_key: bool
) -> dict[str, Any] | None:
    """Return the row that has the first of the record's complete keys, or with `any_key` any of them."""
    values = [key_value(record, key) for key in KEYS[table]]
    found = [rows.get(value) for rows, value in zip(places, values, strict=True) if value is not None]
    return next((row for row in found if row is not None), None) if any_key else next(iter(found), None)


def _claim_problems(
    table: str, row: dict[str, Any], claims: list[tuple[Work, int, dict[str, Any]]]
) -> Iterator[str]:
    """Check that a row has the values of the last upsert or, without one, of the only insert."""
    inserts = [claim for claim in claims if claim[0].drop.mode == "insert_only"]
    upserts = [claim for claim in claims if claim[0].drop.mode == "upsert"]
    name = ", ".join(key_value(row, KEYS[table][0]) or ())
    if not claims:
        yield f"{table} has row {name}, which is of no file"
        return
    if len(inserts) > 1:
        yield f"{table} row {name} was inserted {len(inserts)} times: {[c[0].name for c in inserts]}"
    work, number, record = (upserts or inserts)[-1]
    if columns := differing(record, row):
        yield f"{table} row {name} is not as row {number} of {work.name} says: {columns}"
