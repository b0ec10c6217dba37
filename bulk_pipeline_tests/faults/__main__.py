"""`make faults TRIALS=n SEED=s`: n faults in epochs of ten, with seeds from s on. Continues an interrupted campaign."""

import argparse
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from bulk_pipeline import tables
from bulk_pipeline_tests.faults import log
from bulk_pipeline_tests.faults.campaign import FAULTS_PER_EPOCH, Campaign, kinds_of
from bulk_pipeline_tests.faults.rig import PROJECT, rig
from bulk_pipeline_tests.faults.wreckage import keep


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=FAULTS_PER_EPOCH, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="of the first epoch; the next has the next")
    parser.add_argument(
        "--log",
        type=Path,
        default=Path(".bulk/faults.jsonl"),
        help="what broken epochs leave behind is kept beside it",
    )
    parser.add_argument("--rows", type=int, default=3000, help="of the largest file")
    parser.add_argument("--pause", type=float, default=30, help="seconds that a stopped process sleeps")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of the whole log")
    given = parser.parse_args()
    if given.table:
        return _told(log.read(given.log))
    tables.serve(PROJECT)
    given.log.parent.mkdir(parents=True, exist_ok=True)
    wanted = range(given.seed, given.seed + -(-given.trials // FAULTS_PER_EPOCH))
    todo = [seed for seed in wanted if seed not in log.seeds(log.read(given.log))]
    while todo:
        _run(todo, given)
    return _told([record for record in log.read(given.log) if record["seed"] in wanted])


def _run(todo: list[int], given: argparse.Namespace) -> None:
    """Run epochs in one stack, until one of them may have damaged it."""
    wreckage = given.log.with_suffix("")
    with rig() as running:
        campaign = Campaign(running, given.rows, given.pause, wreckage=wreckage)
        while todo:
            seed = todo.pop(0)
            try:
                records = list(campaign.epoch(seed, kinds_of(seed), _tell))
            except Exception:
                records = [log.unjudged(seed, traceback.format_exc())]
                with suppress(Exception):
                    keep(running, [], wreckage / str(seed))
            log.append(given.log, records)
            _tell(f"{seed}: {records[-1]}")
            if records[-1]["violations"] or records[-1]["unjudged"]:
                return


def _told(records: list[log.Record]) -> int:
    _tell(log.table(records))
    return int(any(record.get("violations") for record in records))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
