"""Like `fuzz`, but guided by coverage: inputs that reach new code are mutated further: `make fuzz-guided SECONDS=n`.

atheris (libFuzzer) watches the branches of the parser and of validation. An input is a byte that chooses the file's
name, and the file. The first input that breaks something is stored in the folder of findings, and ends the run.
"""

import argparse
import random
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

atheris: Any = import_module("atheris")  # fetched for the run alone: checks must do without it

with atheris.instrument_imports(include=["bulk_pipeline.stages", "bulk_pipeline.schema"]):
    from bulk_pipeline_tests.unit.messy import fuzz

NAMES = sorted(fuzz.corpus())
LONGEST = 20_000
RSS_MB = 1_500
SLACK = 5.0
"""Slowdown of instrumented code."""
STRETCH_SECONDS = 300


def one_input(data: bytes) -> None:
    if data:
        result = fuzz.cost(partial(fuzz.read, NAMES[data[0] % len(NAMES)], data[1:]))
        result.refuse(len(data), SLACK)


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    """Mutate by our own damages half of the time, else by libFuzzer."""
    draw = random.Random(seed)
    if draw.random() < 0.5:
        return atheris.Mutate(data, longest)
    file = bytearray(data[1:])
    fuzz.damage(file, draw)
    return data[:1] + bytes(file[: longest - 1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument(
        "--corpus", type=Path, default=Path("fuzz-found/corpus"), help="what reached new code"
    )
    options.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="for what breaks something")
    options.add_argument(
        "--stretch", type=int, help="seconds in this process: the watching leaks, 60 KB an input"
    )
    given = options.parse_args()
    if given.stretch is None:
        sys.exit(_in_stretches(given))
    given.corpus.mkdir(parents=True, exist_ok=True)
    given.keep.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (given.corpus / name).write_bytes(bytes([number]) + fuzz.corpus()[name])
    settings = [f"-max_total_time={given.stretch}", f"-max_len={LONGEST}", f"-artifact_prefix={given.keep}/"]
    limits = [f"-timeout={SLACK * fuzz.SECONDS_FOR_ANY:.0f}", f"-rss_limit_mb={RSS_MB}"]
    atheris.Setup([sys.argv[0], *settings, *limits, str(given.corpus)], one_input, custom_mutator=mutate)
    atheris.Fuzz()


def _in_stretches(given: argparse.Namespace) -> int:
    """Run processes of a few minutes each until the time is over, or one of them finds something."""
    until = time.monotonic() + given.seconds
    while (left := round(until - time.monotonic())) > 0:
        words = ["--stretch", str(min(left, STRETCH_SECONDS)), "--corpus", given.corpus, "--keep", given.keep]
        ended = subprocess.run(
            [sys.executable, "-m", "bulk_pipeline_tests.unit.messy.guided", *words], check=False
        )
        if ended.returncode:
            return ended.returncode
    return 0


if __name__ == "__main__":
    main()
