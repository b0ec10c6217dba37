"""Formats of sample files. A separate module, because the command line imports it at its start."""

from enum import StrEnum


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
