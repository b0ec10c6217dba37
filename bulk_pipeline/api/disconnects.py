"""Cancels the work on a request when its client disconnects: the access log then shows 499.

A handler that waits is cancelled at once. One in a thread ends where it calls `anyio.from_thread.check_cancelled`,
or else when it is done. A body that stops arriving is answered with 408.
"""

import asyncio

from anyio import CancelScope, sleep_forever
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WITH_BODY = {"POST", "PUT", "PATCH"}


class CancelOnDisconnect:
    """ASGI middleware, the only one that receives messages of the client once the body is complete."""

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
    """The server's side of one request. `work` is cancelled if the client disconnects before the answer is sent."""

    def __init__(
        self, receive: Receive, send: Send, work: CancelScope, idle_seconds: float, *, has_body: bool
    ) -> None:
        self._receive = receive
        self._send = send
        self._work = work
        self._idle_seconds = idle_seconds
        self._has_body = has_body
        self._is_empty_body_sent = False
        self._is_answered = False
        self._body_ended = asyncio.Event()
        self._disconnected = asyncio.Event()

    async def receive(self) -> Message:
        if self._has_body and not self._body_ended.is_set():
            return await self._body_message()
        if not self._has_body and not self._is_empty_body_sent:
            self._is_empty_body_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        # Set before sending: a server reports a disconnect once an answer has ended.
        self._is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def watch(self) -> None:
        if self._has_body:
            await self._body_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass  # an unexpected body
        self._disconnect()

    async def _body_message(self) -> Message:
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            detail = f"no data of the body arrived for {self._idle_seconds:g} seconds"
            raise HTTPException(408, detail, {"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            self._disconnect()
            await sleep_forever()  # until it is cancelled
        if not message.get("more_body", False):
            self._body_ended.set()
        return message

    def _disconnect(self) -> None:
        self._disconnected.set()
        if not self._is_answered:
            self._work.cancel()


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] in _WITH_BODY and (
        headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    )
