"""A real Prometheus, and what the files in ops/ ask of it.

Its programs are those on the PATH or, where there are none, of Debian's package, fetched without installing it.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml

from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Service, running

OPS = Path(__file__).parents[2] / "ops"
DASHBOARD = OPS / "grafana" / "dashboards" / "bulk_pipeline.json"
_FETCH_SECONDS = 240


@dataclass(frozen=True)
class Prometheus:
    """A server that scrapes one API every few seconds, with our rules."""

    url: str

    def ask(self, path: str) -> Any:  # whatever it answers
        with build_opener(ProxyHandler({})).open(f"{self.url}/api/v1/{path}", timeout=30) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask(f"query?query={quote(expression)}")["result"]


@contextmanager
def scraping(api_url: str, folder: Path) -> Iterator[Prometheus]:
    """Prometheus with the configuration in ops/; only what it scrapes, and how often, is another."""
    config = yaml.safe_load((OPS / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"}
    (scrape,) = config["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["api:8080"]}]
    scrape["static_configs"] = [{"targets": [api_url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(OPS / "alerts.yml", folder)
    address = f"127.0.0.1:{free_port()}"
    found = Prometheus(f"http://{address}")
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
        answers=lambda: _is_ready(found),
    )
    with running(service):
        yield found


def alerts() -> list[dict[str, Any]]:
    """The rules in ops/alerts.yml."""
    groups = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """The series that an expression of PromQL reads: their names, and what it wants of their labels."""
    names = re.findall(r"\b(bulk_\w+)(?:\{([^}]*)\})?", expression)
    return [(name, dict(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', labels))) for name, labels in names]


def program(name: str) -> Path:
    """`prometheus` or `promtool`."""
    installed = shutil.which(name)
    return Path(installed) if installed else _fetched() / "usr" / "bin" / name


def _fetched() -> Path:
    """Debian's package, unpacked in the virtual environment."""
    folder = Path(sys.prefix) / "debian-prometheus"
    if folder.exists():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.fail(
            "this test needs prometheus and promtool on the PATH (Debian: apt-get install prometheus)"
        )
    work = folder.with_name(f"{folder.name}.{time.time_ns()}")
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    own = [
        *("-o", f"Dir::State::Lists={work / 'lists'}"),
        *("-o", f"Dir::Cache={work / 'cache'}", "-o", "APT::Sandbox::User=", "-qq"),
    ]
    for command in (
        ["apt-get", *own, "update"],
        ["apt-get", *own, "download", "prometheus"],
        ["sh", "-c", "dpkg -x prometheus_*.deb unpacked"],
    ):
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_FETCH_SECONDS)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    (work / "unpacked").rename(folder)
    shutil.rmtree(work)
    return folder


def _is_ready(prometheus: Prometheus) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{prometheus.url}/-/ready", timeout=5):
            return True
    except OSError:
        return False
