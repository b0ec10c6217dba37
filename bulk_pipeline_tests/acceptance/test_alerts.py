"""Each alert in ops/alerts.yml fires when it should, with a sentence that says why, and not before."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bulk_pipeline_tests.rigs.prometheus import OPS, alerts, program

pytestmark = pytest.mark.debian


@dataclass(frozen=True)
class Case:
    """`series`: by minute, in promtool's notation. The alert is silent at minute `quiet` and fires at minute `woken`."""

    alert: str
    series: dict[str, str]
    quiet: int
    woken: int
    labels: dict[str, str]
    summary: str


CASES = [
    Case(
        "BulkApiDown",
        {'up{job="bulk-pipeline",instance="api:8080"}': "1x4 0x9", 'up{job="other",instance="x"}': "0x20"},
        *(6, 8),
        {"job": "bulk-pipeline", "instance": "api:8080"},
        "The API at api:8080 does not answer scrapes",
    ),
    Case(
        "BulkStoreDown",
        {'bulk_up{part="database"}': "1x20", 'bulk_up{part="object_store"}': "1x4 0x9"},
        *(6, 8),
        {"part": "object_store"},
        "The API cannot reach the object_store",
    ),
    Case(
        "BulkDiskFull",
        {
            'bulk_disk_free_bytes{place="work files"}': "5e9x4 5e8x9",
            'bulk_disk_needed_bytes{place="work files"}': "1e9x20",
            'bulk_disk_free_bytes{place="temporary files"}': "5e8x20",
            'bulk_disk_needed_bytes{place="temporary files"}': "1e8x20",
        },
        *(6, 8),
        {"place": "work files"},
        "Too little disk space for work files: no import starts until there is more",
    ),
    Case(
        "BulkDaemonSilent",
        {'bulk_up{part="orchestrator"}': "1x4 0x9", 'bulk_up{part="database"}': "1x20"},
        *(6, 8),
        {},
        "No heartbeat from Dagster's daemon: no import or export starts",
    ),
    Case(
        "BulkSensorSilent",
        {
            'bulk_sensor_last_tick_age_seconds{sensor="upload_sensor"}': "0+60x20",
            'bulk_sensor_last_tick_age_seconds{sensor="reaper_sensor"}': "5x20",
        },
        *(5, 6),
        {"sensor": "upload_sensor"},
        "upload_sensor has not ticked for 6m 0s",
    ),
    Case(
        "BulkLedgerUnreadable",
        {"bulk_queue_depth": "3x4 stale"},
        *(9, 10),
        {},
        "Scrapes have no metrics of the ledger: alerts on imports and exports cannot fire",
    ),
    Case(
        "BulkQueueOld",
        {'bulk_queue_oldest_age_seconds{kind="import"}': "0+60x30", "bulk_queue_depth": "1x30"},
        *(15, 16),
        {},
        "The oldest import has waited for 16m 0s",
    ),
    Case(
        "BulkImportsFailed",
        {
            'bulk_import_jobs_total{table="users",status="failed"}': "2x9 3x9",
            'bulk_import_jobs_total{table="users",status="completed"}': "0+5x20",
            'bulk_import_jobs_total{table="comments",status="failed"}': "7x20",
        },
        *(10, 11),
        {"table": "users"},
        "Imports into users have failed in the last 15 minutes",
    ),
    Case(
        "BulkRowsRejected",
        {
            'bulk_rows_total{table="users",result="inserted"}': "0+90x99",
            'bulk_rows_total{table="users",result="rejected"}': "0+10x99",
            'bulk_rows_total{table="customers",result="inserted"}': "0+96x99",
            'bulk_rows_total{table="customers",result="rejected"}': "0+4x99",
            'bulk_rows_total{table="comments",result="rejected"}': "0+0x50 0+1x20",
        },
        *(6, 61),
        {"table": "users"},
        "10% of the rows for users were rejected in the last hour",
    ),
    Case(
        "BulkExportOverdue",
        {'bulk_queue_oldest_age_seconds{kind="export"}': "0+60x30", "bulk_queue_depth": "1x30"},
        *(20, 21),
        {},
        "An export has waited for 21m 0s",
    ),
    Case(
        "BulkMessagesUndeliverable",
        {
            'bulk_notifications{status="undeliverable"}': "0x4 2x20",
            'bulk_notifications{status="waiting"}': "7x20",
        },
        *(9, 11),
        {},
        "Messages about files could not be delivered: 2",
    ),
    Case(
        "BulkExportsFailed",
        {
            'bulk_export_jobs_total{table="users",status="expired"}': "0x9 1x9",
            'bulk_export_jobs_total{table="users",status="completed"}': "0+1x20",
        },
        *(10, 11),
        {"table": "users"},
        "Exports of users have failed or expired in the last hour",
    ),
    Case(
        "BulkNightlyExportMissing",
        {
            'bulk_export_last_success_timestamp_seconds{table="users"}': "0x1700",
            'bulk_export_last_success_timestamp_seconds{table="comments"}': "0+60x1700",
        },
        *(26 * 60 + 30, 26 * 60 + 31),
        {"table": "users"},
        "The last full export of users is 1d 2h 31m 0s old",
    ),
    Case(
        "BulkHttpErrors",
        {
            'bulk_http_requests_total{status="200",route="/imports"}': "0+48x30",
            'bulk_http_requests_total{status="503",route="/imports"}': "0+6x30",
            'bulk_http_requests_total{status="503",route="/ready"}': "0+6x30",
        },
        *(4, 8),
        {},
        "10% of the requests fail",
    ),
]


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == [rule["alert"] for rule in alerts()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_should_and_not_before(case: Case, tmp_path: Path) -> None:
    (severity,) = (rule["labels"]["severity"] for rule in alerts() if rule["alert"] == case.alert)
    woken = {
        "exp_labels": {"severity": severity, **case.labels},
        "exp_annotations": {"summary": case.summary, "runbook": f"docs/alerts.md#{case.alert.lower()}"},
    }
    tried = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{case.quiet}m", "alertname": case.alert, "exp_alerts": []},
            {"eval_time": f"{case.woken}m", "alertname": case.alert, "exp_alerts": [woken]},
        ],
    }
    file = tmp_path / "alerts.test.yml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(OPS / "alerts.yml")], "evaluation_interval": "1m", "tests": [tried]}
        )
    )
    done = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
