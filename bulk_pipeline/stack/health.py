"""Health of Dagster: the webserver answers, the code location is loaded, every daemon sends heartbeats."""

import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from bulk_pipeline.postgres.dagster_tables import SILENCE_SECONDS
from bulk_pipeline.stack.graphql import ask

_QUERY = """{
  instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } }
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries { name loadStatus locationOrLoadError { __typename ... on PythonError { message } } }
    }
  }
}"""


@dataclass(frozen=True)
class DagsterHealth:
    """The problem of each process, None if it is healthy."""

    webserver: str | None
    code_server: str | None
    daemon: str | None

    @property
    def problem(self) -> str | None:
        """The first problem, None if there is none."""
        return self.webserver or self.code_server or self.daemon


def dagster_health(url: str, daemon_started_at: float) -> DagsterHealth:
    """Return the health. Heartbeats before `daemon_started_at` (seconds since the epoch) are of an earlier daemon."""
    try:
        data = ask(url, _QUERY)
    except (OSError, HTTPException, ValueError) as error:
        return DagsterHealth(f"does not answer: {error}", "unknown", "unknown")
    return DagsterHealth(None, _location_problem(data), _daemon_problem(data, daemon_started_at, time.time()))


def _location_problem(data: dict[str, Any]) -> str | None:
    entries = data["workspaceOrError"].get("locationEntries", [])
    if not entries:
        return "no code location"
    for entry in entries:
        loaded = entry["locationOrLoadError"] or {}
        if entry["loadStatus"] != "LOADED" or loaded.get("__typename") != "RepositoryLocation":
            return f"{entry['name']} is not loaded: {loaded.get('message', entry['loadStatus']).strip()}"
    return None


def _daemon_problem(data: dict[str, Any], started_at: float, now: float) -> str | None:
    oldest = max(started_at, now - SILENCE_SECONDS)
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    silent = [
        status["daemonType"]
        for status in statuses
        if status["required"] and (status["lastHeartbeatTime"] or 0) < oldest
    ]
    return f"no heartbeat from {', '.join(silent)}" if silent else None
