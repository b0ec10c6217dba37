"""`make load`: 50 small files a second for five minutes, with two of a million rows and exports; prints one JSON document."""

import argparse
import json
import sys

from bulk_pipeline.bench.harness import rig
from bulk_pipeline_tests.load.campaign import Load, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=float, default=Load.per_second, help="how many files")
    parser.add_argument("--seconds", type=float, default=Load.seconds, help="how long they are sent")
    parser.add_argument("--rows", type=int, default=Load.rows, help="of each file")
    parser.add_argument("--large-rows", type=int, default=Load.large_rows, help="of the two large ones")
    given = parser.parse_args()
    load = Load(given.per_second, given.seconds, given.rows, given.large_rows)
    with rig() as running:
        found = run(running, load, lambda told: print(told, file=sys.stderr, flush=True))  # noqa: T201
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return int(bool(found["violations"] or found["unanswered"]))


if __name__ == "__main__":
    sys.exit(main())
