"""The workload of a load: table, number of rows, mode, existing rows, format."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from bulk_pipeline import tables
from bulk_pipeline.bench.choices import Before, FileFormat, LoadMode
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Table

_ROWS_PER_PARENT = 10


@dataclass(frozen=True, kw_only=True)
class Workload:
    """`bad`: share of rows with a defect, of every kind in turn. The same `seed` gives the same file."""

    table: str
    rows: int
    mode: LoadMode = LoadMode.INSERT_ONLY
    bad: Fraction = Fraction(0)
    format: FileFormat = FileFormat.CSV
    seed: int = 1

    def __post_init__(self) -> None:
        if self.format is FileFormat.PARQUET and self.bad:
            raise ValueError("a Parquet file has no bad rows, which are damaged text: leave the share at 0")

    @property
    def declared(self) -> Table:
        return tables.get(self.table)

    @property
    def parents(self) -> Mapping[str, int]:
        """Number of rows of every table that this one refers to, directly or indirectly."""
        return dict.fromkeys(_ancestors(self.declared), max(self.rows // _ROWS_PER_PARENT, 1))

    @property
    def sample(self) -> Sample:
        """The measured file."""
        revision = 1 if self.mode.before is Before.EARLIER_VALUES else 0
        return Sample(self.declared, self.rows, self.seed, self.bad, self.parents, revision)

    @property
    def base(self) -> Sample:
        """Good rows with the same keys, as they are before an `upsert-existing`."""
        return Sample(self.declared, self.rows, self.seed, self.bad, self.parents)

    @property
    def key_folder(self) -> str:
        return f"{self.table}/{self.mode.mode}"

    def parent_samples(self) -> list[Sample]:
        """Return the samples of the parents, in load order."""
        rows = self.parents
        return [
            Sample(table, rows[table.upload_name], self.seed, parents=rows)
            for table in tables.in_load_order()
            if table.upload_name in rows
        ]


def _ancestors(table: Table) -> set[str]:
    ancestors = set(table.parents)
    for name in table.parents:
        ancestors |= _ancestors(tables.get(name))
    return ancestors
