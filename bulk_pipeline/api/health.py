"""Is it alive, is it ready, how does each part do."""

from fastapi import APIRouter

router = APIRouter(tags=["operations"])


@router.get("/live", summary="Whether the process answers")
def live() -> dict[str, str]:
    return {"status": "alive"}
