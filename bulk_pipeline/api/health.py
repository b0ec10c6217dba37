"""Is it alive, is it ready, how does each part do."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

import bulk_pipeline
from bulk_pipeline.api.checkup import Checkup

router = APIRouter(tags=["operations"])

_Word = Literal["healthy", "unhealthy"]


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Services(BaseModel):
    """Each part by itself. The orchestrator is Dagster's daemon, which starts imports and exports."""

    database: _Word
    object_store: _Word
    orchestrator: _Word


class Health(BaseModel):
    """`status` is healthy if every service is."""

    status: _Word
    version: str
    services: Services


async def _checkup(request: Request) -> Checkup:
    return request.app.state.checkup


def _example(object_store: _Word) -> dict[str, object]:
    services = Services(database="healthy", object_store=object_store, orchestrator="healthy")
    return Health(status=object_store, version=bulk_pipeline.__version__, services=services).model_dump()


_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/json": {"example": _example("healthy")}}},
    503: {
        "model": Health,
        "description": "A part fails: the services say which",
        "content": {"application/json": {"example": _example("unhealthy")}},
    },
}


@router.get("/live", summary="Whether the process answers")
async def live() -> Alive:
    """Asks nobody, and waits for no thread: for whoever restarts processes that hang."""
    return Alive()


@router.get("/ready", summary="Whether requests can be served", responses=_ANSWERS)
@router.get("/health", summary="How each part does", responses=_ANSWERS)
def health(response: Response, checkup: Annotated[Checkup, Depends(_checkup)]) -> Health:
    """Database, object store, and a heartbeat of Dagster's daemon within the last two minutes. Asks each of them at
    most once a second, however often it is called."""
    services = Services.model_validate(
        {part: "unhealthy" if problem else "healthy" for part, problem in checkup.problems().items()}
    )
    is_healthy = set(services.model_dump().values()) == {"healthy"}
    response.status_code = 200 if is_healthy else 503
    response.headers["Cache-Control"] = "no-store"
    return Health(
        status="healthy" if is_healthy else "unhealthy", version=bulk_pipeline.__version__, services=services
    )
