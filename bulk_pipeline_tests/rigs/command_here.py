"""Runs `bulk-pipeline` in the test's own process; a separate one would take two seconds for imports."""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from bulk_pipeline.cli import main
from bulk_pipeline.tables import registry


def run_here(environ: Mapping[str, str], *words: object) -> CompletedProcess[bytes]:
    """Run the command with `environ` added to the test's environment; return exit status, stdout and stderr."""
    command = ["bulk-pipeline", *map(str, words)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        patch.dict(os.environ, environ),
        patch.object(sys, "argv", command),
        patch.object(registry, "_served", None),  # as in a process of its own
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
