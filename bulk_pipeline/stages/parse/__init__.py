"""Bytes of an uploaded file -> numbered rows of text, and failures for what is no row. Start at `upload`."""

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.clean import write_clean_csv
from bulk_pipeline.stages.parse.parsed import Dialect, Parsed
from bulk_pipeline.stages.parse.upload import PARSER_VERSION, Upload, open_upload

__all__ = ["PARSER_VERSION", "Dialect", "Limits", "Parsed", "Upload", "open_upload", "write_clean_csv"]
