"""The size of the long campaigns: `make test-long SEEDS=20` runs ten times as many examples as `make test-long`."""

import os

SEEDS = int(os.environ.get("SEEDS", "2"))
"""The number of seeds of each campaign."""
