"""The same verbs for a terminal. Commands live in one module a subject; what they print in `output`."""

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import NoReturn

from bulk_pipeline.errors import BulkPipelineError, StackError
from bulk_pipeline.printable import printable


def main() -> None:
    """Run the command line. An error that is not a bug is one line on stderr and exit status 1.

    Below it may be details: the end of a log, line by line.
    """
    from bulk_pipeline.cli.app import app
    from bulk_pipeline.cli.connection import closing_stores

    try:
        with closing_stores():
            app()
    except StackError as error:
        _fail(str(error), error.details)
    except BulkPipelineError as error:
        _fail(str(error))
    except OSError as error:  # a full disk, a folder that is a file, a right that is missing
        _fail(_reason(error))


def _fail(message: str, details: Sequence[str] = ()) -> NoReturn:
    lines = [f"error: {printable(message)}", *(f"  {printable(line)}" for line in details)]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.exit(1)


def _reason(error: OSError) -> str:
    """The place and the system's reason. Arrow's exceptions name no place, nor do those of a write."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"cannot use {os.fsdecode(error.filename)}: {reason}"
    if error.errno == errno.ENOSPC:
        return f"{reason}; temporary files lie in {tempfile.gettempdir()}"
    return reason


__all__ = ["main"]
