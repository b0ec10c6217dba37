"""A real Prometheus scrapes the running stack, with the rules and the dashboard in ops/."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bulk_pipeline import stack as embedded
from bulk_pipeline_tests.rigs.prometheus import (
    OPS,
    Prometheus,
    alerts,
    dashboard_queries,
    program,
    scraping,
    selectors,
)
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique, until

pytestmark = pytest.mark.debian

ON_AN_IDLE_STACK = {
    "bulk_stream_export_rows_total",
    "bulk_stream_exports_total",
    "bulk_stream_exports_in_flight",
}
ON_AN_IDLE_STACK |= {"bulk_stream_export_duration_seconds_bucket"}
"""Series that exist only after an export has been streamed."""


@pytest.fixture
def prometheus(world: RunningStack, tmp_path: Path) -> Iterator[Prometheus]:
    api_url = embedded.status(world.home).api_url
    assert api_url is not None
    with scraping(api_url, tmp_path) as prometheus:
        yield prometheus


@pytest.mark.parametrize("command", [("config", "prometheus.yml"), ("rules", "alerts.yml")])
def test_shipped_configuration_is_well_formed(command: tuple[str, str]) -> None:
    kind, name = command
    done = subprocess.run([program("promtool"), "check", kind, OPS / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_every_series_and_evaluates_every_rule_and_panel(
    world: RunningStack, prometheus: Prometheus
) -> None:
    world.load(f"customers/{unique()}.csv", csv("email,city", f"{unique()}@x.co,Lund", "nobody,Lund"))
    queries = [*dashboard_queries(), *(rule["expr"] for rule in alerts())]
    wanted = {name for query in queries for name, _ in selectors(query)} - ON_AN_IDLE_STACK
    wanted -= {"bulk_export_last_success_timestamp_seconds", "bulk_export_job_duration_seconds_bucket"}

    def is_there(name: str) -> bool:
        return name in prometheus.ask("label/__name__/values")

    for name in sorted(wanted):
        until(partial(is_there, name), name)
    for query in queries:
        prometheus.query(query)
    assert prometheus.query("min(bulk_up)")[0]["value"][1] == "1"

    def evaluated() -> bool:
        groups = prometheus.ask("rules?type=alert")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert [rule["name"] for rule in rules] == [rule["alert"] for rule in alerts()]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, rules
        return {rule["health"] for rule in rules} == {"ok"}

    until(evaluated, "every rule is evaluated")
