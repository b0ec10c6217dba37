"""What is done for a request ends when its client goes away: the log then says 499.

A handler that waits is cancelled at once. One that runs in a thread ends where it asks
`anyio.from_thread.check_cancelled`, or else with its thread. A body of which nothing comes any more ends with 408.
"""

import asyncio

from anyio import CancelScope, sleep_forever
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WITH_BODY = {"POST", "PUT", "PATCH"}


class Departures:
    """ASGI middleware, the only one that asks the server for news of the client once the body is complete."""

    def __init__(self, app: ASGIApp, idle_seconds: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with CancelScope() as work:
            client = _Client(receive, send, work, self._idle_seconds, has_body=_has_body(scope))
            watching = asyncio.create_task(client.watch())
            try:
                await self._app(scope, client.receive, client.send)
            finally:
                watching.cancel()


class _Client:
    """The server's side of one request. `work`: what ends when the client leaves before it has its answer."""

    def __init__(
        self, receive: Receive, send: Send, work: CancelScope, idle_seconds: float, *, has_body: bool
    ) -> None:
        self._receive = receive
        self._send = send
        self._work = work
        self._idle_seconds = idle_seconds
        self._has_body = has_body
        self._is_told_of_end = False
        self._is_answered = False
        self._body_ended = asyncio.Event()
        self._left = asyncio.Event()

    async def receive(self) -> Message:
        if self._has_body and not self._body_ended.is_set():
            return await self._body_message()
        if not self._has_body and not self._is_told_of_end:
            self._is_told_of_end = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        # Before it is sent: a server takes the end of an answer for the end of the client.
        self._is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def watch(self) -> None:
        if self._has_body:
            await self._body_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass  # a body where none belongs
        self._leave()

    async def _body_message(self) -> Message:
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            told = f"nothing came of the body for {self._idle_seconds:g} seconds"
            raise HTTPException(408, told, {"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            self._leave()
            await sleep_forever()  # until the cancellation comes
        if not message.get("more_body", False):
            self._body_ended.set()
        return message

    def _leave(self) -> None:
        self._left.set()
        if not self._is_answered:
            self._work.cancel()


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] in _WITH_BODY and (
        headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    )
