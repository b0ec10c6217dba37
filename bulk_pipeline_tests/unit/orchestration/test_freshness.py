"""A declared time by which a file is expected, as Dagster's freshness policy."""

from datetime import timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.orchestration import freshness
from bulk_pipeline.schema import Expectation


@pytest.mark.parametrize(
    ("text", "cron", "days", "zone"),
    [
        ("daily by 08:00 Europe/Rome", "0 8 * * *", 1, "Europe/Rome"),
        ("weekdays by 18:30 UTC", "30 18 * * 1,2,3,4,5", 1, "UTC"),
        ("mon,thu by 07:05 America/New_York", "5 7 * * 1,4", 3, "America/New_York"),
        ("sun by 00:00 UTC", "0 0 * * 0", 7, "UTC"),
    ],
)
def test_a_declared_time_is_a_deadline_in_its_zone(text: str, cron: str, days: int, zone: str) -> None:
    assert freshness.policy(Expectation.parse(text)) == dg.FreshnessPolicy.cron(
        deadline_cron=cron, lower_bound_delta=timedelta(days=days), timezone=zone
    )


@given(st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1))
def test_dagster_accepts_every_choice_of_days(days: set[str]) -> None:
    assert freshness.policy(Expectation.parse(f"{','.join(days)} by 23:59 Asia/Kathmandu"))
