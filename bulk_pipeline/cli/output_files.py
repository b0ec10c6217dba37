"""Files that commands write. A file appears under its name once it is complete; `-` is stdout."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

from bulk_pipeline.errors import OutputError


def output_path(out: Path | None) -> Path | None:
    """Return the file to write; None means stdout, which may be written as `-`."""
    return None if out == Path("-") else out


def is_special(path: Path) -> bool:
    """Return whether the path is a pipe or a device, which is never replaced and whose name implies no format."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces `path` at the end of the block, unless the block raises.

    Raises `OutputError` with the reason if the file cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    partial = path if is_special(path) else path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with _unwritable(path, partial), partial.open("wb") as file:
            yield file
        if partial is not path:
            with _unwritable(path, partial):
                partial.replace(path)
    finally:
        if partial is not path:
            with suppress(OSError):  # the folder may be a file, so that nothing was created
                partial.unlink(missing_ok=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Yield stdout for bytes. Raises `OutputError` with the reason if writing fails, as on a full disk."""
    with _unwritable("to stdout", None):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


def distinct_names(names: Iterable[str]) -> Iterator[str]:
    """Yield names for files in one folder: a repeated name gets a number, as in `users-2.csv`."""
    used: set[str] = set()
    for name in names:
        stem, dot, ending = name.partition(".")
        numbered = (f"{stem}-{number}{dot}{ending}" for number in count(2))
        unused = next(candidate for candidate in chain([name], numbered) if candidate not in used)
        used.add(unused)
        yield unused


def make_folder(path: Path) -> None:
    """Create the folder if it does not exist. Raises `OutputError` with the reason if that fails."""
    with _unwritable(path, path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _unwritable(path: Path | str, partial: Path | None) -> Iterator[None]:
    """Turn an `OSError` into `OutputError` with the file's own name instead of none or that of the partial file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename not in (None, str(partial), str(path)):
            raise  # about another file that the block reads
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
