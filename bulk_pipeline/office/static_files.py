"""The stylesheet and the script of the pages."""

from fastapi import APIRouter, HTTPException, Response

from bulk_pipeline.office.pages import STATIC

router = APIRouter()

_TYPES = {
    "office.css": "text/css; charset=utf-8",
    "office.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_YEAR = "public, max-age=31536000, immutable"


@router.get("/static/{name}")
async def static_file(name: str) -> Response:
    """The address has a hash of the content, so that browsers may keep the file."""
    if name not in _TYPES:
        raise HTTPException(404)
    content = (STATIC / name).read_bytes()
    return Response(content, media_type=_TYPES[name], headers={"Cache-Control": _YEAR})
