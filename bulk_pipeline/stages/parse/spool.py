"""Puts a stream into a temporary file, for the formats that are read from their end (Parquet, .xlsx,
.zip)."""

import tempfile
from collections.abc import Iterable
from pathlib import Path


class Spool:
    """One temporary folder, made when it is first needed and removed by `close` or with the object."""

    def __init__(self, folder: Path | None) -> None:
        self._parent = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    def write(self, chunks: Iterable[bytes]) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="bulk-parse-", dir=self._parent)
        self._count += 1
        path = Path(self._folder.name) / str(self._count)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        return path

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
