"""A code location that loads quickly, for tests of the stack itself."""

import time

import dagster as dg


@dg.op
def wait_for_the_end() -> None:
    time.sleep(600)


@dg.job(executor_def=dg.in_process_executor)
def endless() -> None:
    wait_for_the_end()


defs = dg.Definitions(jobs=[endless])
