"""A file that a command writes: it appears under its name when it is whole. `-` is stdout."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from bulk_pipeline.errors import OutputError


def given(out: Path | None) -> Path | None:
    """The file to write; None for stdout, which has no name, or the name `-`."""
    return None if out == Path("-") else out


def is_special(path: Path) -> bool:
    """Return whether the path is a pipe or a device: it is written to, never replaced, and its name says no format."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Replaces what is there at the end of the block, unless that ends with an exception.

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
            with suppress(OSError):  # where its folder is not one, it was never made
                partial.unlink(missing_ok=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Stdout, for bytes. Raises `OutputError` with the reason if it cannot be written, as on a full disk."""
    with _unwritable("to stdout", None):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


def unlike_names(names: Iterable[str]) -> Iterator[str]:
    """The names of files that go into one folder: one that comes again gets a number, as in `users-2.csv`."""
    taken: set[str] = set()
    for name in names:
        stem, dot, ending = name.partition(".")
        numbered = (f"{stem}-{number}{dot}{ending}" for number in count(2))
        taken.add(new := name if name not in taken else next(one for one in numbered if one not in taken))
        yield new


def make_folder(path: Path) -> None:
    """Make the folder unless it is there. Raises `OutputError` with the reason if that cannot be."""
    with _unwritable(path, path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _unwritable(path: Path | str, partial: Path | None) -> Iterator[None]:
    """Name the file where the system's reason names none, or the partial one that nobody knows."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename not in (None, str(partial), str(path)):
            raise  # about another file, which the block reads
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
