"""`make faults TRIALS=n SEED=s`: n faults in epochs of ten, with seeds from s on. Goes on where it was."""

import argparse
import sys
import tempfile
from pathlib import Path

from bulk_pipeline_tests.faults import log
from bulk_pipeline_tests.faults.campaign import FAULTS_PER_EPOCH, Campaign, kinds_of
from bulk_pipeline_tests.faults.rig import rig


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=FAULTS_PER_EPOCH, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="of the first epoch; the next has the next")
    parser.add_argument("--log", type=Path, default=Path(".bulk/faults.jsonl"))
    parser.add_argument("--rows", type=int, default=3000, help="of the largest file")
    parser.add_argument("--pause", type=float, default=30, help="seconds that a stopped process sleeps")
    parser.add_argument(
        "--keep", action="store_true", help="leave the stack's folder for a look after a violation"
    )
    given = parser.parse_args()
    given.log.parent.mkdir(parents=True, exist_ok=True)
    wanted = range(given.seed, given.seed + -(-given.trials // FAULTS_PER_EPOCH))
    todo = [seed for seed in wanted if seed not in log.seeds(log.read(given.log))]
    if todo:
        folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-faults-"))
        folder.chmod(0o711)
        with rig(folder) as running:
            for seed in todo:
                records = list(Campaign(running, given.rows, given.pause).epoch(seed, kinds_of(seed), _tell))
                log.append(given.log, records)
                _tell(f"{seed}: {records[-1]}")
                if records[-1]["violations"] and given.keep:
                    input(f"{folder}: look, then press Enter")
    done = [record for record in log.read(given.log) if record["seed"] in wanted]
    _tell(log.table(done))
    return int(any(record.get("violations") for record in done))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
