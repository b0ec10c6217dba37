"""The same verbs for a terminal. Commands live in one module a subject; what they print in `output`."""

import sys

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.printable import printable


def main() -> None:
    """Run the command line. Errors raised on purpose are one line on stderr and exit status 1."""
    from bulk_pipeline.cli.app import app
    from bulk_pipeline.cli.connection import closing_stores

    try:
        with closing_stores():
            app()
    except BulkPipelineError as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        sys.exit(1)


__all__ = ["main"]
