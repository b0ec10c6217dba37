"""How a sample is written."""

from enum import StrEnum


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
