"""What a load is measured on: a table, a number of rows, how they meet the rows that are there, a format."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from bulk_pipeline import tables
from bulk_pipeline.bench.choices import FileFormat, LoadMode
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Table

_ROWS_PER_PARENT = 10


@dataclass(frozen=True, kw_only=True)
class Workload:
    """`bad`: the share of rows with a defect, of every kind in turn. The same `seed` gives the same file."""

    table: str
    rows: int
    mode: LoadMode = LoadMode.INSERT_ONLY
    bad: Fraction = Fraction(0)
    format: FileFormat = FileFormat.CSV
    seed: int = 1

    def __post_init__(self) -> None:
        if self.format is FileFormat.PARQUET and self.bad:
            raise ValueError("bad rows are damaged text: a Parquet file has none, so leave the share at 0")

    @property
    def declared(self) -> Table:
        return tables.get(self.table)

    @property
    def parents(self) -> Mapping[str, int]:
        """How many rows there are of every table this one refers to, directly or not."""
        return dict.fromkeys(_ancestors(self.declared), max(self.rows // _ROWS_PER_PARENT, 1))

    @property
    def sample(self) -> Sample:
        """The file that is measured."""
        revision = 1 if self.mode is LoadMode.UPSERT_EXISTING else 0
        return Sample(self.declared, self.rows, self.seed, self.bad, self.parents, revision)

    @property
    def base(self) -> Sample:
        """Good rows with the same keys, as they are before an `upsert-existing`."""
        return Sample(self.declared, self.rows, self.seed, self.bad, self.parents)

    @property
    def key_folder(self) -> str:
        return f"{self.table}/{self.mode.mode}"

    def parent_samples(self) -> list[Sample]:
        """In load order."""
        wanted = self.parents
        return [
            Sample(table, wanted[table.name], self.seed, parents=wanted)
            for table in tables.in_load_order()
            if table.name in wanted
        ]


def _ancestors(table: Table) -> set[str]:
    found = set(table.parents)
    for name in table.parents:
        found |= _ancestors(tables.get(name))
    return found
