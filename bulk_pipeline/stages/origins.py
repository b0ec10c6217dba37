"""The origins of rows: the job that rejected a row before, and the row's number there, as a text in its own cell.

Files of rejected rows have them in the column `_origin`, so that the job of the corrected file knows whose rows it
loads. A row keeps its first origin however often it is rejected. The text is one that spreadsheets leave as it is: it
begins and ends with letters, and is no number, date or formula. Its last letters are a check, so that a damaged origin
is none rather than that of another row.
"""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.row_sets import positions, union

ORIGINS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("job", pa.string(), nullable=False),
        pa.field("job_row", pa.int64(), nullable=False),
    ]
)
"""The rows of a file that have an origin."""

_PATTERN = (
    r"(?:^|[^0-9A-Za-z_-])row(?P<row>[1-9][0-9]{0,17})"
    r"-(?P<job>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-(?P<check>[a-z]{3})(?:$|[^0-9A-Za-z_-])"
)
_LETTERS = "bcdfghjkmnpqrstvwxyz"
_CHECKS = pa.array([a + b + c for a in _LETTERS for b in _LETTERS for c in _LETTERS])


def origin_parts(rows: pa.Array, job: str) -> list[pa.Array | bytes]:
    """Return the parts, as for `joined`, of the texts of origins: of the rows (int64) of a job."""
    return [b"row", rows.cast(pa.string()), f"-{job}-".encode(), _checks(rows.to_numpy(), job)]


def found_origins(raw: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows (`_row`, `raw`) that hold an origin, with the first one of each, as `ORIGINS`."""
    found = pc.extract_regex(raw["raw"], _PATTERN)
    is_one = found.is_valid()
    parts, rows = found.filter(is_one), raw["_row"].filter(is_one)
    row, job, check = (pc.struct_field(parts, name).cast(pa.string()) for name in ("row", "job", "check"))
    batch = pa.RecordBatch.from_arrays([rows, job, row.cast(pa.int64())], schema=ORIGINS)
    is_intact = np.ones(len(batch), bool)
    jobs, numbers = job.dictionary_encode(), batch["job_row"].to_numpy()
    for at, name in enumerate(jobs.dictionary.to_pylist()):
        of_job = jobs.indices.to_numpy() == at
        is_intact[of_job] = pc.equal(check.filter(pa.array(of_job)), _checks(numbers[of_job], name)).to_numpy(
            zero_copy_only=False
        )
    return batch.filter(pa.array(is_intact))


def _texts(rows: pa.Array, job: str) -> pa.Array:
    return pc.binary_join_element_wise(
        "row", rows.cast(pa.string()), f"-{job}-", _checks(rows.to_numpy(), job), ""
    )


def _checks(rows: np.ndarray, job: str) -> pa.Array:
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(zlib.crc32(job.encode()))
    mixed = (mixed ^ mixed >> np.uint64(31)) * np.uint64(0xBF58476D1CE4E5B9)
    return _CHECKS.take(pa.array((mixed >> np.uint64(32)) % np.uint64(len(_CHECKS))))


@dataclass(frozen=True)
class Origins:
    """The rows of a file that have an origin, in file order: row `rows[i]` was row `job_rows[i]` of the job
    `jobs[places[i]]`.

    If several rows of the file have the same origin, only the first one has it here: the others are new rows.
    """

    jobs: tuple[str, ...]
    rows: np.ndarray
    places: np.ndarray
    job_rows: np.ndarray

    @classmethod
    def none(cls) -> Self:
        return cls.of(())

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch], jobs: Collection[str] | None = None) -> Self:
        """Return the origins in batches of `ORIGINS`; only those in `jobs`, if given."""
        names: dict[str, int] = {}
        rows, places, job_rows = [], [], []
        for batch in batches:
            encoded = batch["job"].dictionary_encode()
            numbers = [
                names.setdefault(name, len(names)) if jobs is None or name in jobs else -1
                for name in encoded.dictionary.to_pylist()
            ]
            rows.append(batch["row"].to_numpy())
            places.append(np.array(numbers, np.int64)[encoded.indices.to_numpy()])
            job_rows.append(batch["job_row"].to_numpy())
        none = np.empty(0, np.int64)
        every = cls(tuple(names), *(np.concatenate([none, *parts]) for parts in (rows, places, job_rows)))
        is_known = every.places >= 0
        return every._only(is_known)._without_repeats()

    def counts(self) -> dict[str, int]:
        """Return the number of rows that come from each job."""
        counts = Counter(self.places.tolist())
        return {job: counts[place] for place, job in enumerate(self.jobs)}

    def parts(self, rows: pa.Array, job: str) -> list[pa.Array | bytes]:
        """Return the parts of the texts of origins of rows of the file. A row that has none comes from `job`, the
        file's own."""
        has_origin, at = positions(rows.to_numpy(), self.rows)
        if not has_origin.any():
            return origin_parts(rows, job)
        texts = _texts(rows, job)
        for place in np.unique(self.places[at[has_origin]]).tolist():
            of_job = has_origin & (self.places[at] == place)
            earlier = _texts(pa.array(self.job_rows[at[of_job]]), self.jobs[place])
            texts = pc.replace_with_mask(texts, pa.array(of_job), earlier)
        return [texts]

    def between(self, first: int, last: int) -> Self:
        """Return the origins of a range of rows."""
        part = slice(*np.searchsorted(self.rows, [first, last + 1]).tolist())
        return replace(self, rows=self.rows[part], places=self.places[part], job_rows=self.job_rows[part])

    def among(self, rows: np.ndarray) -> Self:
        """Return the origins of a set of rows."""
        return self._only(positions(self.rows, rows)[0])

    def outside(self, rows: np.ndarray) -> Self:
        """Return the origins of the other rows than those of the set."""
        return self._only(~positions(self.rows, rows)[0])

    def by_job(self) -> dict[str, np.ndarray]:
        """Return the rows' numbers in each job they come from, sorted."""
        return {
            job: np.sort(self.job_rows[self.places == place])
            for place, job in enumerate(self.jobs)
            if (self.places == place).any()
        }

    def _only(self, chosen: np.ndarray) -> Self:
        return replace(
            self, rows=self.rows[chosen], places=self.places[chosen], job_rows=self.job_rows[chosen]
        )

    def _without_repeats(self) -> Self:
        order = np.lexsort([self.rows, self.job_rows, self.places])
        places, job_rows = self.places[order], self.job_rows[order]
        is_first = np.ones(len(order), bool)
        is_first[1:] = (places[1:] != places[:-1]) | (job_rows[1:] != job_rows[:-1])
        return self._only(np.sort(order[is_first]))


@dataclass(frozen=True)
class Corrections:
    """The rows of a file that an earlier job rejected. `rejected`: the rows of the file that are not loaded."""

    origins: Origins
    rejected: np.ndarray

    def of_range(self, first: int, last: int, refused: np.ndarray) -> tuple[Origins, Origins]:
        """Return the origins of the rows of a range that are in the table, and of those that are not.

        `refused`: the set of rows that loading rejected.
        """
        origins, bad = self.origins.between(first, last), union([self.rejected, refused])
        return origins.outside(bad), origins.among(bad)

    def of_rows(self, rows: np.ndarray, refused: np.ndarray) -> tuple[Origins, Origins]:
        """Return the same of a set of rows, all of which were to be loaded."""
        origins = self.origins.among(rows)
        return origins.outside(refused), origins.among(refused)
