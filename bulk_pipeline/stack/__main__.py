"""`python -m bulk_pipeline.stack HOME DEFINITIONS DESCRIPTOR`: the supervisor that `up --detach` starts."""

import sys
from pathlib import Path

from bulk_pipeline.stack import detached

detached.run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
