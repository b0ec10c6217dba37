"""Liveness and readiness: the endpoints, and the state of each part, checked at most once a second."""

from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

import bulk_pipeline
from bulk_pipeline.api.caching import TimedCache
from bulk_pipeline.pipeline.readiness import Readiness

router = APIRouter(tags=["operations"])

_State = Literal["healthy", "unhealthy"]

_log = structlog.get_logger(__name__)


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"


class Services(BaseModel):
    """The state of each part. `orchestrator` is Dagster's daemon, which starts imports and exports. `disk` is
    unhealthy if too little space is free for work files or temporary files."""

    database: _State
    object_store: _State
    disk: _State
    orchestrator: _State


class Health(BaseModel):
    """`status` is healthy if every service is."""

    status: _State
    version: str
    services: Services


class ReadinessCache:
    """Checks the parts, each at most once in `keep_seconds`. Logs when a part fails and when it recovers.

    A check without an answer after `wait_seconds` counts as failed.
    """

    def __init__(self, checks: Readiness, *, keep_seconds: float = 1.0, wait_seconds: float = 3.0) -> None:
        self._wait_seconds = wait_seconds
        self._checks = {
            "database": TimedCache(checks.database, seconds=keep_seconds),
            "object_store": TimedCache(checks.object_store, seconds=keep_seconds),
            "disk": TimedCache(checks.disk, seconds=keep_seconds),
            "orchestrator": TimedCache(checks.orchestrator, seconds=keep_seconds),
        }
        self._logged: dict[str, str | None] = dict.fromkeys(self._checks)

    def problems(self) -> Mapping[str, str | None]:
        """Return the problem of each part, None if it is healthy. Takes up to `wait_seconds` if a check hangs."""
        results = {part: check.result() for part, check in self._checks.items()}
        wait(results.values(), timeout=self._wait_seconds)
        problems = {part: self._problem(result) for part, result in results.items()}
        for part, problem in problems.items():
            self._log_change(part, problem)
        return problems

    def _problem(self, result: Future[str | None]) -> str | None:
        return result.result() if result.done() else f"no answer within {self._wait_seconds:g} s"

    def _log_change(self, part: str, problem: str | None) -> None:
        before, self._logged[part] = self._logged[part], problem
        if problem and not before:
            _log.warning("a part is unhealthy", part=part, problem=problem)
        elif before and not problem:
            _log.info("a part has recovered", part=part)


async def _readiness(request: Request) -> ReadinessCache:
    return request.app.state.readiness


def _example(object_store: _State) -> dict[str, object]:
    services = Services(database="healthy", object_store=object_store, disk="healthy", orchestrator="healthy")
    return Health(status=object_store, version=bulk_pipeline.__version__, services=services).model_dump()


_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/json": {"example": _example("healthy")}}},
    503: {
        "model": Health,
        "description": "A part is unhealthy: see `services`",
        "content": {"application/json": {"example": _example("unhealthy")}},
    },
}


@router.get("/live", summary="Check that the process answers")
async def live() -> Liveness:
    """Checks nothing else and waits for no thread: for supervisors that restart a process that hangs."""
    return Liveness()


@router.get("/ready", summary="Check that requests can be served", responses=_ANSWERS)
@router.get("/health", summary="Check the health of each part", responses=_ANSWERS)
def health(response: Response, readiness: Annotated[ReadinessCache, Depends(_readiness)]) -> Health:
    """Checks the database, the object store, free disk space, and a heartbeat of Dagster's daemon within the last two
    minutes; each at most once a second."""
    services = Services.model_validate(
        {part: "unhealthy" if problem else "healthy" for part, problem in readiness.problems().items()}
    )
    is_healthy = set(services.model_dump().values()) == {"healthy"}
    response.status_code = 200 if is_healthy else 503
    response.headers["Cache-Control"] = "no-store"
    return Health(
        status="healthy" if is_healthy else "unhealthy", version=bulk_pipeline.__version__, services=services
    )
