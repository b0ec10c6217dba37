"""Exports straight from the database to the client: constant memory, one snapshot, an end that cannot be mistaken.

What goes wrong before the first bytes is an answer like any other. Afterwards the connection is broken, so that HTTP
itself says that the file is not complete.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
from anyio import CancelScope
from fastapi import Depends, HTTPException, Request, Response
from starlette.types import Receive, Scope, Send

from bulk_pipeline.api.channel import Channel, ReaderGoneError
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stages.export.formats import CONTENT_TYPES
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline.stores.jobs import new_id
from bulk_pipeline.stores.postgres import end_sessions

_HELD_BYTES = 8 << 10
"""A header alone is not sent: whether the rows can be read shows with the first of them."""
_RETRY_SECONDS = 5
_PATIENCE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Streams:
    """How many go on at a time. For the event loop only."""

    def __init__(self, stores: Stores, metrics: Metrics) -> None:
        self.stores = stores
        self.metrics = metrics
        self.running: dict[str, Channel] = {}
        self._callers = Counter[str]()

    @contextmanager
    def place(self, caller: str) -> Iterator[tuple[str, Channel]]:
        """A name for a session and a channel, as long as the block lasts; 429 if there is no room for the caller."""
        settings = self.stores.settings
        if len(self.running) >= settings.api_max_streams:
            raise _no_room(f"{settings.api_max_streams} exports are being streamed")
        if self._callers[caller] >= settings.api_max_streams_per_caller:
            raise _no_room(f"{settings.api_max_streams_per_caller} exports are being streamed for you")
        session = f"bulk-pipeline stream {new_id()}"
        channel = self.running[session] = Channel()
        self._callers[caller] += 1
        try:
            yield session, channel
        finally:
            del self.running[session]
            self._callers[caller] -= 1
            self._callers += Counter()  # which leaves out those that have none


def _no_room(reason: str) -> HTTPException:
    told = f"{reason}: try again, or ask for a file with POST /exports"
    return HTTPException(429, told, {"Retry-After": str(_RETRY_SECONDS)})


async def _streams(request: Request) -> Streams:
    return request.app.state.streams


StreamsNeed = Annotated[Streams, Depends(_streams)]


def attachment(request: ExportRequest) -> dict[str, str]:
    """The headers of an exported file."""
    return {
        "Content-Type": CONTENT_TYPES[request.format],
        "Content-Disposition": f'attachment; filename="{request.table}{request.layout.extension}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


class ExportStream(Response):
    """The answer to a request that has been checked. `caller`: whose share of the streams it takes."""

    def __init__(self, streams: Streams, request: ExportRequest, caller: str) -> None:
        super().__init__(headers=attachment(request))
        del self.headers["Content-Length"]
        self._streams = streams
        self._request = request
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.place(self._caller) as (session, channel):
            writing = threading.Thread(target=self._write, args=(session, channel), name=session)
            writing.start()
            try:
                await self._send_all(channel, send)
            finally:
                channel.leave()
                with CancelScope(shield=True):  # also when the client has left
                    await self._stop(session, channel)

    async def _send_all(self, channel: Channel, send: Send) -> None:
        """What cannot even begin is raised, for the usual answers."""
        beginning = await _beginning(channel)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            piece: bytes | None = beginning
            while piece is not None:
                async with asyncio.timeout(self._streams.stores.settings.api_stream_idle_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await channel.take()
        except BulkPipelineError as error:
            _log.warning("a stream broke off", table=self._request.table, error=str(error))
            return  # the server breaks the connection of an answer that nobody has ended
        except TimeoutError:
            _log.warning("a stream was broken off: its client reads nothing", table=self._request.table)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _write(self, session: str, channel: Channel) -> None:
        """In a thread of its own, so that slow clients do not take those of other requests."""
        request, database_url = self._request, self._streams.stores.database_url
        try:
            # Here, as it brings Arrow, which nothing else in the API needs.
            from bulk_pipeline.orchestration.streaming import stream_export

            with self._streams.metrics.streaming(request.table, request.format) as counted:
                sent = 0

                def tell(rows: int, _: int) -> None:
                    nonlocal sent
                    counted.sent(rows - sent)
                    sent = rows

                try:
                    stream_export(database_url, request, channel, session=session, progress=tell)
                except BulkPipelineError as error:
                    if channel.is_left:  # it is we who have ended the session
                        raise ReaderGoneError from error
                    raise
        except BaseException as error:  # whatever it is, it is for whoever reads
            channel.end(error)
        else:
            channel.end()

    async def _stop(self, session: str, channel: Channel) -> None:
        """Wait for the thread; a statement that it waits for is ended in the database."""
        while not channel.ended.is_set():
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await channel.ended.wait()
            except TimeoutError:
                await asyncio.to_thread(self._end_session, session)

    def _end_session(self, session: str) -> None:
        try:
            with self._streams.stores.postgres.transaction() as connection:
                end_sessions(connection, session)
        except BulkPipelineError as error:  # tried again
            _log.warning("cannot end a stream's session", error=str(error))


async def _beginning(channel: Channel) -> bytes:
    """The first bytes, or all if there are not that many."""
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _HELD_BYTES and (piece := await channel.take()) is not None:
        pieces.append(piece)
    return b"".join(pieces)
