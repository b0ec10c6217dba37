"""Counts of rows by outcome, for a range of rows and for a whole job."""

from dataclasses import astuple, dataclass, field, fields


@dataclass(frozen=True)
class LoadCounts:
    """Numbers of source rows by outcome; every row is counted once."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0

    @property
    def processed(self) -> int:
        return sum(getattr(self, name) for name in COUNTERS)

    def __add__(self, other: "LoadCounts") -> "LoadCounts":
        return LoadCounts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


COUNTERS = tuple(counter.name for counter in fields(LoadCounts))
"""The names of the counts, in the order in which they are shown everywhere."""


@dataclass(frozen=True)
class Counts(LoadCounts):
    """Numbers of a job's rows by outcome.

    `total` is the number of data records in the file, None until the whole file has been parsed; `unprocessed` is the
    number of rows that are in no committed batch. Of the rejected rows, `rejected_again` belong to the jobs that
    rejected them first; of the others, later jobs imported `fixed` from corrected files, and `open` are left. These
    three are not compared, since they may change after the end of the job.
    """

    total: int | None = None
    rejected_again: int = field(default=0, compare=False)
    fixed: int = field(default=0, compare=False)
    open: int = field(default=0, compare=False)

    @property
    def unprocessed(self) -> int:
        return 0 if self.total is None else self.total - self.processed
