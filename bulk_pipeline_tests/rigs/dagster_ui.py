"""The requests that the Dagster UI sends to its server."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bulk_pipeline.stack.graphql import ask

_STARTED_PROCESS = re.compile(r"Started process for run \(pid: (\d+)\)")

_RUN = """query ($id: ID!) {
  runOrError(runId: $id) {
    ... on Run {
      status
      parentRunId
      tags { key value }
      stepStats { stepKey status }
    }
  }
}"""

_EVENTS = """query ($id: ID!, $cursor: String) {
  logsForRun(runId: $id, afterCursor: $cursor) {
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on MessageEvent { message level stepKey }
        ... on ErrorEvent { error { message causes { message } } }
        ... on ExecutionStepOutputEvent { metadataEntries { ...Entry } }
        ... on LogsCapturedEvent { fileKey }
        ... on MaterializationEvent { assetKey { path } metadataEntries { ...Entry } }
      }
    }
  }
}
fragment Entry on MetadataEntry {
  __typename
  label
  ... on IntMetadataEntry { intRepr }
  ... on FloatMetadataEntry { floatValue }
  ... on TextMetadataEntry { text }
  ... on PathMetadataEntry { path }
  ... on UrlMetadataEntry { url }
  ... on JsonMetadataEntry { jsonString }
  ... on TableMetadataEntry { table { records } }
}"""

_PRINTED = "query ($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"

_REEXECUTE = """mutation ($id: String!, $strategy: ReexecutionStrategy!) {
  launchRunReexecution(
    reexecutionParams: {parentRunId: $id, strategy: $strategy, useParentRunTags: true}
  ) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""

_TERMINATE = """mutation ($id: String!) {
  terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on TerminateRunFailure { message }
  }
}"""

_REPOSITORY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"

_BACKFILL = """mutation ($selector: PartitionSetSelector!, $names: [String!]) {
  launchPartitionBackfill(backfillParams: {selector: $selector, partitionNames: $names}) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""

_BACKFILLED = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""

_FINAL = {"SUCCESS", "FAILURE", "CANCELED"}
_VALUES = ("intRepr", "floatValue", "text", "path", "url", "jsonString", "table")


@dataclass(frozen=True)
class DagsterUi:
    """The UI of the webserver at `url`."""

    url: str

    def run(self, run_id: str) -> dict[str, Any]:
        return ask(self.url, _RUN, {"id": run_id})["runOrError"]

    def status(self, run_id: str) -> str:
        return self.run(run_id)["status"]

    def is_over(self, run_id: str) -> bool:
        return self.status(run_id) in _FINAL

    def tags(self, run_id: str) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in self.run(run_id)["tags"]}

    def steps(self, run_id: str) -> dict[str, str]:
        """Return the status of each step that has begun."""
        return {step["stepKey"]: step["status"] for step in self.run(run_id)["stepStats"]}

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return all events of a run, in order."""
        result: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = ask(self.url, _EVENTS, {"id": run_id, "cursor": cursor})["logsForRun"]
            result += page["events"]
            cursor = page["cursor"]
            if not page["hasMore"]:
                return result

    def messages(self, run_id: str) -> list[str]:
        return [event["message"] for event in self.events(run_id)]

    def errors(self, run_id: str) -> str:
        """Return the errors that the UI shows for a failed run."""
        errors = [event["error"] for event in self.events(run_id) if event.get("error")]
        return "\n".join(cause["message"] for error in errors for cause in (error, *error["causes"]))

    def printed(self, run_id: str) -> tuple[str, str]:
        """Return the output of a run's process on stdout and stderr."""
        (key,) = [event["fileKey"] for event in self.events(run_id) if "fileKey" in event]
        logs = ask(self.url, _PRINTED, {"key": [run_id, "compute_logs", key]})["capturedLogs"]
        return logs["stdout"] or "", logs["stderr"] or ""

    def process_id(self, run_id: str) -> int:
        text = "\n".join(self.messages(run_id))
        result = _STARTED_PROCESS.search(text)
        assert result, text
        return int(result[1])

    def reexecute(self, run_id: str, strategy: str = "ALL_STEPS") -> str:
        """Re-execute the run; return the id of the new run."""
        answer = ask(self.url, _REEXECUTE, {"id": run_id, "strategy": strategy})["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def terminate(self, run_id: str) -> None:
        answer = ask(self.url, _TERMINATE, {"id": run_id})["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def backfill(self, job: str, partitions: Sequence[str]) -> str:
        """Launch a backfill of a job's partitions; return its id."""
        (repository,) = ask(self.url, _REPOSITORY, {})["repositoriesOrError"]["nodes"]
        place = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        selector = {"repositorySelector": place, "partitionSetName": f"{job}_partition_set"}
        answer = ask(self.url, _BACKFILL, {"selector": selector, "names": list(partitions)})
        assert answer["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", answer
        return answer["launchPartitionBackfill"]["backfillId"]

    def backfill_status(self, backfill_id: str) -> str:
        return ask(self.url, _BACKFILLED, {"id": backfill_id})["partitionBackfillOrError"]["status"]


def metadata(event: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an event's metadata by label."""
    return {
        entry["label"]: next(entry[name] for name in _VALUES if name in entry)
        for entry in event["metadataEntries"]
    }
