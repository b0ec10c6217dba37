"""The files in ops/ against what /metrics exports: no alert and no panel waits for a series that never comes."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from bulk_pipeline_tests.integration.api.test_metrics import USERS, metrics_of
from bulk_pipeline_tests.rigs.dagster_signs import ALIVE, leave_signs
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.rigs.prometheus import OPS, alerts, dashboard_queries, selectors

DOCS = OPS.parent / "docs" / "alerts.md"
OF_PROMETHEUS = {"instance", "job", "le"}
Labels = dict[str, set[str]]


@pytest.fixture
def exported(api: TestClient, pipeline: Pipeline, exporting: Exporting) -> dict[str, Labels]:
    """All series of a stack on which everything has happened once: values by name and label."""
    leave_signs(pipeline.stores.database_url, ALIVE, {"upload_sensor": 1, "reaper_sensor": 1})
    pipeline.load("users/upsert/people.csv", USERS)
    exporting.exported("users")
    with metrics_of(api).streaming("users", "csv") as stream:
        stream.add_rows(1)
    api.get("/live")
    result: dict[str, Labels] = {}
    for family in text_string_to_metric_families(api.get("/metrics").text):
        for sample in family.samples:
            labels = result.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return result


def test_every_series_of_an_alert_or_a_panel_is_exported(exported: dict[str, Labels]) -> None:
    for query in [*dashboard_queries(), *(rule["expr"] for rule in alerts())]:
        result = selectors(query)
        assert result or "ALERTS" in query or query.startswith("up{"), query
        for name, wanted in result:
            assert name in exported, query
            for label, pattern in wanted.items():
                assert label in exported[name], query
                if label not in ("status", "route"):
                    assert all(part in exported[name][label] for part in pattern.split("|")), query
        grouped = {label for by in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", by)}
        known = {label for name, _ in result for label in exported[name]} | OF_PROMETHEUS
        assert grouped <= known, query


def test_every_series_is_in_the_docs_and_the_docs_name_no_other(exported: dict[str, Labels]) -> None:
    ours = {re.sub("_(total|bucket|count|sum|info)$", "", name) for name in exported if "process" not in name}
    names = {
        re.sub("_(total|info)$", "", name) for name in re.findall(r"^\| `(bulk_\w+)", DOCS.read_text(), re.M)
    }
    assert names == {name for name in ours if name.startswith("bulk_")}


def test_every_alert_has_duration_severity_and_remedy() -> None:
    sections = set(re.findall(r"^### (\w+)$", DOCS.read_text(), re.M))
    for rule in alerts():
        assert rule["for"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["alert"] in sections
    assert sections == {rule["alert"] for rule in alerts()}


def test_the_folders_that_grafana_reads_exist() -> None:
    grafana = OPS / "grafana"
    names = {str(path.relative_to(grafana)) for path in grafana.rglob("*") if path.is_file()}
    assert names == {
        str(Path("provisioning", "datasources", "prometheus.yml")),
        str(Path("provisioning", "dashboards", "bulk_pipeline.yml")),
        str(Path("dashboards", "bulk_pipeline.json")),
    }
