"""All pages below /office, and the way there from the address of the server."""

from fastapi import APIRouter, HTTPException, Request, Response

from bulk_pipeline.office import checks, exports, home, sending, signing_in, static_files, uploads
from bulk_pipeline.office.pages import PREFIX, see_other

router = APIRouter(include_in_schema=False)
for _part in (static_files, signing_in, home, sending, uploads, checks, exports):
    router.include_router(_part.router, prefix=PREFIX)


@router.get("/")
async def front_door(request: Request) -> Response:
    """Lead browsers to the pages; other clients get what they always got here."""
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    return see_other(PREFIX)
