"""What a benchmark can be asked for. Apart from what measures, so that the command line can offer it at once."""

from enum import StrEnum

from bulk_pipeline.schema import Mode


class LoadMode(StrEnum):
    """How the rows of the file meet the table."""

    INSERT_ONLY = "insert_only"
    UPSERT = "upsert"
    """Into an empty table, like `insert_only`."""
    UPSERT_EXISTING = "upsert-existing"
    """Every good row is there, and differs in one column."""
    REIMPORT = "reimport"
    """`insert_only` of a file that was imported."""
    REIMPORT_UPSERT = "reimport-upsert"
    """`upsert` of a file that was imported."""

    @property
    def mode(self) -> Mode:
        return Mode.INSERT_ONLY if self in (LoadMode.INSERT_ONLY, LoadMode.REIMPORT) else Mode.UPSERT

    @property
    def is_reimport(self) -> bool:
        return self in (LoadMode.REIMPORT, LoadMode.REIMPORT_UPSERT)


class FileFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class By(StrEnum):
    """How a file comes in."""

    BUCKET = "bucket"
    CLI = "cli"
