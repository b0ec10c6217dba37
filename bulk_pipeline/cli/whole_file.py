"""A file that a command writes: it appears under its name when it is whole. `-` is stdout."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def given(out: Path | None) -> Path | None:
    """The file to write; None for stdout, which has no name, or the name `-`."""
    return None if out == Path("-") else out


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Replaces what is there at the end of the block, unless that ends with an exception."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
