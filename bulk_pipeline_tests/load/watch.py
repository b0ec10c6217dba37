"""Observations during the load: answers of the UI and the API, and the memory of each service."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

import orjson

from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.memory import held, run_processes

SERVICES = ("daemon", "code_server", "webserver", "api", "objects")
_PERIOD_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0
_RUNS = (
    b'{"query": "{ runsOrError(limit: 25) { ... on Runs { results { runId status tags { key value } } } } }"}'
)


@dataclass
class Watch:
    """Seconds of each answer by request; bytes of each service, once a second; requests without an answer."""

    answers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    unanswered: list[str] = field(default_factory=list)

    def look(self, rig: Rig) -> None:
        self._ask("page", Request(rig.dagster_url))
        self._ask("runs", Request(f"{rig.dagster_url}/graphql", _RUNS, {"Content-Type": "application/json"}))
        self._ask("api", Request(f"{rig.api_url}/ready"))
        for name in SERVICES:
            self.memory[name].append(rig.service(name).memory_info().rss)
        self.memory["runs"].append(held(run_processes(rig.service("code_server"))).rss_bytes)

    def _ask(self, what: str, request: Request) -> None:
        started = time.monotonic()
        try:
            with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
                content = answer.read()
            if what == "runs" and "errors" in orjson.loads(content):
                self.unanswered.append(f"{what}: {content.decode()}")
        except OSError as error:
            self.unanswered.append(f"{what}: {error}")
        self.answers[what].append(time.monotonic() - started)


@contextlib.contextmanager
def watching(rig: Rig) -> Iterator[Watch]:
    """Observe once a second, in a thread; its errors are raised at the end of the block."""
    watch, over, errors = Watch(), threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            while not over.wait(_PERIOD_SECONDS):
                watch.look(rig)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="watch")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
    if errors:
        raise errors[0]
