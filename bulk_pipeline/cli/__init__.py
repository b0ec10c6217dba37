"""The command line: one module per subject. `app` lists the commands, `output` prints, `options` reads values."""

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import NoReturn

from bulk_pipeline.errors import BulkPipelineError, StackError
from bulk_pipeline.printable import printable


def main() -> None:
    """Run the command line. An expected error is one line on stderr, with any details below it, and exit status 1."""
    from bulk_pipeline.cli.app import app
    from bulk_pipeline.cli.connection import closing_stores

    try:
        with closing_stores():
            app()
    except StackError as error:
        _fail(str(error), error.details)
    except BulkPipelineError as error:
        _fail(str(error))
    except OSError as error:  # a full disk, a file in the place of a folder, missing permission
        _fail(_reason(error))


def _fail(message: str, details: Sequence[str] = ()) -> NoReturn:
    lines = [f"error: {printable(message)}", *(f"  {printable(line)}" for line in details)]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.exit(1)


def _reason(error: OSError) -> str:
    """Return the file and the system's reason. Arrow's exceptions and failed writes name no file."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"cannot use {os.fsdecode(error.filename)}: {reason}"
    if error.errno == errno.ENOSPC:
        return f"{reason}; temporary files are in {tempfile.gettempdir()}"
    return reason


__all__ = ["main"]
