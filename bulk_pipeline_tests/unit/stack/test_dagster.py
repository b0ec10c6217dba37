"""Dagster's addresses and configuration."""

from pathlib import Path

import pytest
import yaml

from bulk_pipeline.stack import dagster
from bulk_pipeline.stack.dagster import Dagster


@pytest.mark.parametrize(
    ("database_url", "expected"),
    [
        ("postgresql://u:p@h:5/d", "postgresql+psycopg2://u:p@h:5/d?options=-csearch_path%3Ddagster"),
        (
            "postgres://h/d?sslmode=require",
            "postgresql+psycopg2://h/d?sslmode=require&options=-csearch_path%3Ddagster",
        ),
    ],
)
def test_dagster_has_a_schema_of_its_own_in_the_same_database(database_url: str, expected: str) -> None:
    assert dagster.storage_url(database_url) == expected


def test_the_instance_finds_its_settings_and_the_code_server(tmp_path: Path) -> None:
    dagster.create(Dagster(tmp_path, webserver_port=1, code_server_port=2, definitions="code"))
    instance = yaml.safe_load((tmp_path / "dagster.yaml").read_text())
    workspace = yaml.safe_load((tmp_path / "workspace.yaml").read_text())
    assert instance["telemetry"] == {"enabled": False}
    assert instance["storage"]["custom"]["config"] == {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}
    assert workspace == {
        "load_from": [{"grpc_server": {"host": "127.0.0.1", "port": 2, "location_name": "bulk_pipeline"}}]
    }
