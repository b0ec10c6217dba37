"""A real Prometheus with the files in ops/."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

import yaml

from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Service, running
from bulk_pipeline_tests.rigs import debian

OPS = Path(__file__).parents[2] / "ops"
DASHBOARD = OPS / "grafana" / "dashboards" / "bulk_pipeline.json"


@dataclass(frozen=True)
class Prometheus:
    """A server with our rules that scrapes one API every few seconds."""

    url: str

    def ask(self, path: str) -> Any:  # whatever it answers
        with build_opener(ProxyHandler({})).open(f"{self.url}/api/v1/{path}", timeout=30) as answer:
            data = json.load(answer)
        assert data["status"] == "success", data
        return data["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask(f"query?query={quote(expression)}")["result"]


@contextmanager
def scraping(api_url: str, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with the configuration in ops/, except the target and the interval of scrapes."""
    config = yaml.safe_load((OPS / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"}
    (scrape,) = config["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["api:9464"]}]
    scrape["static_configs"] = [{"targets": [api_url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(OPS / "alerts.yml", folder)
    address = f"127.0.0.1:{free_port()}"
    result = Prometheus(f"http://{address}")
    service = Service(
        name="prometheus",
        command=[
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ],
        environment={},
        folder=folder,
        log=folder / "prometheus.log",
        answers=lambda: _is_ready(result),
    )
    with running(service):
        yield result


def alerts() -> list[dict[str, Any]]:
    """Return the rules in ops/alerts.yml."""
    groups = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Return the series that a PromQL expression reads: names and label matchers."""
    names = re.findall(r"\b(bulk_\w+)(?:\{([^}]*)\})?", expression)
    return [(name, dict(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', labels))) for name, labels in names]


def program(name: str) -> Path:
    """Return the path of `prometheus` or `promtool`."""
    return debian.program(name, "prometheus")


def _is_ready(prometheus: Prometheus) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{prometheus.url}/-/ready", timeout=5):
            return True
    except OSError:
        return False
