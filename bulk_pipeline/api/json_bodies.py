"""JSON objects that requests bring. Read by hand where a body may be large: FastAPI would parse it on the event loop,
and before it asks for a token."""

from typing import Any

import orjson
from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from bulk_pipeline.api.body_limit import lift


def is_json(request: Request) -> bool:
    """Whether the body is said to be JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def json_object(request: Request, most_bytes: int) -> dict[str, Any]:
    """The object; 400 for any other body, 413 for a larger one."""
    lift(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise HTTPException(413, f"the JSON body is larger than {most_bytes:,} bytes")
    try:
        given = await run_in_threadpool(orjson.loads, body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(given, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return given
