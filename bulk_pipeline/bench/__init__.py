"""How fast it is: each workload on a stack of its own, beside the floor that it has to beat.

Here is how we measure, and nothing of what is measured; what must come out of an import is known by `samples`. A result
counts only if the import came to exactly that. No Dagster, and no printing: `cli.bench` does that.
"""
