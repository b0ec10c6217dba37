"""Options of benchmarks. A separate module, so that the command line starts without the libraries that measure."""

from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Self

from bulk_pipeline.schema import Mode

_PROJECT = Path(__file__).parent / "project"


def project_of(table: str) -> Path | None:
    """Return the folder that declares a table of the benchmark's own; None for a table of the sample data."""
    return _PROJECT if (_PROJECT / "tables" / f"{table}.yaml").exists() else None


class Before(Enum):
    """The rows in the table when a measured load begins."""

    NONE = auto()
    EARLIER_VALUES = auto()
    """Every good row exists, and differs in one column."""
    SAME_ROWS = auto()
    """The file has been imported before."""


class LoadMode(StrEnum):
    """The mode of an import, and the rows in the table `before` it."""

    mode: Mode
    before: Before

    INSERT_ONLY = ("insert_only", Mode.INSERT_ONLY, Before.NONE)
    UPSERT = ("upsert", Mode.UPSERT, Before.NONE)
    UPSERT_EXISTING = ("upsert-existing", Mode.UPSERT, Before.EARLIER_VALUES)
    REIMPORT = ("reimport", Mode.INSERT_ONLY, Before.SAME_ROWS)
    REIMPORT_UPSERT = ("reimport-upsert", Mode.UPSERT, Before.SAME_ROWS)

    def __new__(cls, value: str, mode: Mode, before: Before) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.mode, member.before = value, mode, before
        return member

    @property
    def is_reimport(self) -> bool:
        return self.before is Before.SAME_ROWS


class FileFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class By(StrEnum):
    """The way in which a file arrives."""

    BUCKET = "bucket"
    POST = "post"
    CLI = "cli"


class Arrivals(StrEnum):
    """When the next file arrives."""

    SPREAD = "spread"
    """After a pause, at times spread evenly over the sensor's interval."""
    POISSON = "poisson"
    """On its own clock, whether or not the files before it are finished."""
    BACK_TO_BACK = "back-to-back"
    """As soon as the job of the file before it is finished."""
