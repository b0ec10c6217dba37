"""Changes to Dagster's internals: the start of its processes, and its storage."""
