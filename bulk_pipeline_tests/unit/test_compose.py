"""The parts of a deployment: docker-compose.yml, .env.example, the Dockerfile and the entrypoint of each service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bulk_pipeline.errors import SettingsError
from bulk_pipeline.settings import read_settings
from bulk_pipeline_tests.rigs import compose

ROOT = compose.ROOT
EXAMPLE = compose.env_file((ROOT / ".env.example").read_text())
SERVICES = compose.services(EXAMPLE)
ONCE = {"roles", "buckets", "migrate"}
WITHOUT_SECRETS = {"prometheus"}


def _run(name: str, *arguments: str | Path) -> str:
    result = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_docker_compose_yml_is_what_the_specification_says() -> None:
    assert _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose.FILE) == ""


def test_the_dockerfile_is_without_a_fault() -> None:
    assert _run("hadolint", "--no-color", "--failure-threshold", "info", ROOT / "Dockerfile") == ""


def test_the_image_is_built_in_stages_from_one_pinned_base_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
    assert re.search(r"^ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-", text, re.MULTILINE)
    assert re.search(r"^USER 10001$", text, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_watched_and_hardened(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":[^:]*\d", service["image"])
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["restart"] == ("on-failure" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["read_only"] == (name != "objects")
    assert service["pids_limit"] <= 1024
    assert "privileged" not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE - {"postgres", "objects"}))
def test_a_service_that_stays_unhealthy_is_restarted(name: str) -> None:
    service = SERVICES[name]
    check = service["healthcheck"]
    assert check["test"][:4] == ["CMD", "sh", "/healthcheck.sh", str(check["retries"])]
    assert service["init"] is True
    assert {"source": "healthcheck", "target": "/healthcheck.sh"} in service["configs"]
    assert "/tmp" in service.get("tmpfs", []) + service["volumes"]  # where failures are counted


NEEDS = {
    ("webserver", "code"), ("daemon", "code"), ("daemon", "webserver"),
    *((name, "postgres") for name in ("roles", "migrate", "code", "daemon", "webserver", "api")),
    *((name, "objects") for name in ("buckets", "code", "api", "webserver")),
    *(("proxy", name) for name in ("webserver", "api", "grafana")),
    ("prometheus", "api"), ("grafana", "prometheus"),
}  # fmt: skip
READS_LOGS = {
    *("S3_ENDPOINT_URL", "S3_REGION", "S3_ADDRESSING_STYLE", "S3_CA_BUNDLE"),
    *("S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET_LOGS"),
}
SERVERS = {"postgres", "objects"}
"""Services that open no connections."""


def test_two_services_share_a_network_only_if_one_needs_the_other() -> None:
    names = set(SERVICES) - ONCE  # those run for seconds, before anything that listens
    together = {
        (one, other)
        for one in names
        for other in names - {one} - SERVERS
        if set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]) and one not in SERVERS
    }
    assert together <= NEEDS | {(other, one) for one, other in NEEDS}
    for one, other in NEEDS:
        assert set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]), (one, other)


def test_dagster_is_reached_by_the_proxy_and_its_own_processes_only() -> None:
    beside = {
        name: {
            other for other in SERVICES if set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"])
        }
        for name in ("code", "webserver")
    }
    assert beside["code"] - SERVERS == {"code", "daemon", "webserver"}
    assert beside["webserver"] - SERVERS == {"code", "daemon", "webserver", "proxy"}


@pytest.mark.parametrize("more", [{}, {"PROXY_SUBNET": "172.30.9.0/24"}], ids=["usual", "another"])
def test_the_api_believes_only_the_proxy_about_the_addresses_of_clients(more: dict[str, str]) -> None:
    rest = compose.networks(EXAMPLE | more)["rest"]
    (config,) = rest["ipam"]["config"]
    assert compose.services(EXAMPLE | more)["api"]["environment"]["API_TRUSTED_PROXIES"] == config["subnet"]
    assert {name for name, service in SERVICES.items() if "rest" in service["networks"]} == {"api", "proxy"}
    assert rest["internal"] is True


@pytest.mark.parametrize("name", ["daemon", "webserver"])
def test_dagsters_own_processes_hold_no_keys_but_to_their_tables_and_logs(name: str) -> None:
    service = SERVICES[name]
    given = service["environment"]
    assert set(given) == {"DAGSTER_POSTGRES_URL", "BULK_PLAIN_DAGSTER"} | (
        READS_LOGS if name == "webserver" else set()
    )
    if name == "webserver":
        assert given["S3_ACCESS_KEY"] == EXAMPLE["S3_LOGS_ACCESS_KEY"]
        assert given["S3_SECRET_KEY"] == EXAMPLE["S3_LOGS_SECRET_KEY"]
    assert service["env_file"] == []
    assert service["volumes"] == ["dagster:/opt/dagster/storage"]


def test_all_that_the_build_installs_has_a_hash() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement uv.txt" in text
    assert "--constraints requirements.lock --build-constraints requirements.lock" in text
    (script,) = re.findall(r"(sed -n '.*' requirements\.lock) > uv\.txt", text)
    lines = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"uv==[0-9.]+ \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+", lines)


def test_no_port_but_those_of_the_proxy_is_open_to_the_world() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"objects": ["127.0.0.1:9000:9000"], "proxy": ["80:80", "443:443"]}


def test_prometheus_scrapes_the_port_of_the_metrics() -> None:
    config = yaml.safe_load((ROOT / "ops" / "prometheus.yml").read_text())
    targets = [target for job in config["scrape_configs"] for target in job["static_configs"]]
    assert targets == [{"targets": [f"api:{SERVICES['api']['environment']['METRICS_PORT']}"]}]


def test_a_service_waits_only_for_services_that_exist() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert (how["condition"] == "service_completed_successfully") == (name in ONCE)
            assert name in SERVICES


def test_every_value_that_must_be_given_is_in_the_example() -> None:
    needed = {name for name, optional in compose.variables().items() if not optional}
    assert needed <= set(EXAMPLE)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - WITHOUT_SECRETS))
def test_no_service_starts_with_the_values_of_the_example(name: str) -> None:
    service = SERVICES[name]
    assert service["entrypoint"][:2] == ["/bin/sh", compose.REFUSE]
    assert _refuse(service["environment"]).startswith("refusing to start: still CHANGE_ME in .env: ")


def test_a_service_starts_when_all_placeholders_are_gone() -> None:
    started = compose.env_file((ROOT / ".env.example").read_text().replace("CHANGE_ME", "good"))
    for service in compose.services(started).values():
        assert _refuse(service.get("environment", {})) == ""


def test_the_refusal_names_the_variable_and_not_its_value() -> None:
    assert (
        _refuse({"A": "1", "B_2": "x CHANGE_ME_half_a_secret"})
        == "refusing to start: still CHANGE_ME in .env: B_2\n"
    )


@pytest.mark.parametrize("name", ["code", "api", "migrate"])
def test_the_settings_of_our_services_are_read_but_for_placeholders(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=r"DATABASE_URL: .*placeholder"):
        read_settings()
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value.replace("CHANGE_ME", "good"))
    assert read_settings().s3_bucket_uploads == "uploads"


def _refuse(environment: dict[str, str]) -> str:
    """Return the message on stderr of a service that refuses to start, else an empty text."""
    result = subprocess.run(
        ["/bin/sh", ROOT / "ops" / "refuse-placeholders.sh", "true"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == (78 if result.stderr else 0)
    return result.stderr
