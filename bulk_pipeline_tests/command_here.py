"""`bulk-pipeline` in the test's own process: one of its own takes two seconds to import what it needs."""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from bulk_pipeline.cli import main


def run_here(environ: Mapping[str, str], *words: object) -> CompletedProcess[bytes]:
    """Exit status, and what was written to stdout and stderr. `environ` comes on top of the test's own."""
    command = ["bulk-pipeline", *map(str, words)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        patch.dict(os.environ, environ),
        patch.object(sys, "argv", command),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = _exit_status()
    return CompletedProcess(command, status, _written(out), _written(err))


def _exit_status() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _written(file: io.TextIOWrapper) -> bytes:
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue()
