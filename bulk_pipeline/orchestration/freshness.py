"""Dagster's freshness policy of a table whose files are expected at fixed times."""

from datetime import timedelta
from itertools import pairwise

import dagster as dg

from bulk_pipeline.schema import Expectation

_WEEK = 7


def policy(expects: Expectation) -> dg.FreshnessPolicy:
    """Return the policy: the table is late from a deadline on until an import changes it.

    An import counts for a deadline if it happened after the deadline before it. Dagster knows one length for all days:
    with `weekdays`, it is one day, and what is imported on Saturday does not count for Monday.
    """
    days = "*" if len(expects.days) == _WEEK else ",".join(str((day + 1) % _WEEK) for day in expects.days)
    gaps = [later - earlier for earlier, later in pairwise((*expects.days, expects.days[0] + _WEEK))]
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{expects.by.minute} {expects.by.hour} * * {days}",
        lower_bound_delta=timedelta(days=min(gaps)),
        timezone=expects.zone.key,
    )
