"""Parses the bytes of an uploaded file into numbered rows of text and failures; start at `upload`.

Each format checks the bounds of `limits` itself, and reports what is larger as `parsed.Oversize`.
"""

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.parsed import Dialect, ParsedChunk
from bulk_pipeline.stages.parse.rewrite import write_clean_csv
from bulk_pipeline.stages.parse.upload import PARSER_VERSION, Upload, open_upload

__all__ = ["PARSER_VERSION", "Dialect", "Limits", "ParsedChunk", "Upload", "open_upload", "write_clean_csv"]
