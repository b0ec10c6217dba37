"""No request makes the server hold a large body in memory: JSON, or what claims to be, ends at 64,000 bytes.

FastAPI takes in the whole body before it looks at it and before it asks for a token, and parses it on the event loop,
where nothing else happens meanwhile.
"""

from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64_000


class BodyLimit:
    """ASGI middleware. A route that does not hold its body, and counts it itself, calls `lift`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES and not state.get("counts_its_body"):
                raise HTTPException(413, f"the request's body is larger than {MOST_BYTES:,} bytes")
            return message

        await self._app(scope, receive_counted, send)


def lift(request: Request) -> None:
    request.state.counts_its_body = True
