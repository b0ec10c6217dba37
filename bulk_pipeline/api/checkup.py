"""How each part that the API needs does, asked at most once a second however many ask."""

from collections.abc import Mapping
from concurrent.futures import Future, wait

import structlog

from bulk_pipeline.api.fresh import Fresh
from bulk_pipeline.stores.probes import Probes

_KEEP_SECONDS = 1.0
_WAIT_SECONDS = 3.0
_SILENT = f"no answer within {_WAIT_SECONDS:g} s"

_log = structlog.get_logger(__name__)


class Checkup:
    """Tells in the log when a part fails, and when it is back; clients only hear which one."""

    def __init__(self, probes: Probes) -> None:
        self._questions = {
            "database": Fresh(probes.database, seconds=_KEEP_SECONDS),
            "object_store": Fresh(probes.object_store, seconds=_KEEP_SECONDS),
            "orchestrator": Fresh(probes.orchestrator, seconds=_KEEP_SECONDS),
        }
        self._told: dict[str, str | None] = dict.fromkeys(self._questions)

    def problems(self) -> Mapping[str, str | None]:
        """What is wrong with each part; None if nothing is. Takes some seconds if one hangs."""
        answers = {part: question.answer() for part, question in self._questions.items()}
        wait(answers.values(), timeout=_WAIT_SECONDS)
        found = {part: _problem(answer) for part, answer in answers.items()}
        for part, problem in found.items():
            self._tell(part, problem)
        return found

    def _tell(self, part: str, problem: str | None) -> None:
        before, self._told[part] = self._told[part], problem
        if problem and not before:
            _log.warning("a part fails", part=part, problem=problem)
        elif before and not problem:
            _log.info("a part is back", part=part)


def _problem(answer: Future[str | None]) -> str | None:
    return answer.result() if answer.done() else _SILENT
