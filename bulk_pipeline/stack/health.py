"""Ask Dagster how it does: the webserver answers, the code is loaded, every daemon gives signs of life."""

import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from bulk_pipeline.stack.graphql import ask

# Heartbeats come every 30 s; Dagster itself calls a daemon healthy for 30 minutes after the last one.
_SILENCE_SECONDS = 120
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
    """What is wrong in each part; None when it is well."""

    webserver: str | None
    code_server: str | None
    daemon: str | None

    @property
    def problem(self) -> str | None:
        """The first of them."""
        return self.webserver or self.code_server or self.daemon


def dagster_health(url: str, daemon_started_at: float) -> DagsterHealth:
    """`daemon_started_at`: heartbeats from before are of a daemon that is gone (seconds since the epoch)."""
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
    oldest = max(started_at, now - _SILENCE_SECONDS)
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    silent = [
        status["daemonType"]
        for status in statuses
        if status["required"] and (status["lastHeartbeatTime"] or 0) < oldest
    ]
    return f"no heartbeat from {', '.join(silent)}" if silent else None
