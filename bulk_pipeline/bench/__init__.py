"""Measurements of speed: each workload on a separate stack, next to a floor such as psql's `\\copy`.

`samples` knows the result that an import must have; a time counts only if the result is right. No Dagster and no
printing here: `cli.bench` prints.
"""
