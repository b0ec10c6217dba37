"""Exports streamed from the database to the client, in constant memory, from one snapshot.

An error before the first bytes is a usual error answer. After that the connection is broken, so that the client sees
that the file is incomplete.
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

from bulk_pipeline.api.byte_pipe import BytePipe, ReaderGoneError
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.postgres.connection import end_sessions
from bulk_pipeline.stages.export.request import ExportRequest

_HELD_BYTES = 8 << 10
"""The first bytes are held back until there are this many, so that an error in the first rows can still be answered
with an error status."""
_RETRY_SECONDS = 5
_PATIENCE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Streams:
    """The running streams of one process, and their limits. For the event loop only."""

    def __init__(self, stores: Stores, metrics: Metrics) -> None:
        self.stores = stores
        self.metrics = metrics
        self.running: dict[str, BytePipe] = {}
        self._callers = Counter[str]()

    @contextmanager
    def place(self, caller: str) -> Iterator[tuple[str, BytePipe]]:
        """Yield a database session's name and a pipe for one stream. `HTTPException` 429 beyond a limit."""
        settings = self.stores.settings
        if len(self.running) >= settings.api_max_streams:
            raise _too_many(f"{settings.api_max_streams} exports are being streamed")
        if self._callers[caller] >= settings.api_max_streams_per_caller:
            raise _too_many(f"{settings.api_max_streams_per_caller} exports are being streamed for you")
        session = f"bulk-pipeline stream {new_id()}"
        pipe = self.running[session] = BytePipe()
        self._callers[caller] += 1
        try:
            yield session, pipe
        finally:
            del self.running[session]
            self._callers[caller] -= 1
            self._callers += Counter()  # drops callers with a count of zero


def _too_many(reason: str) -> HTTPException:
    detail = f"{reason}: try again later, or request a file with POST /exports"
    return HTTPException(429, detail, {"Retry-After": str(_RETRY_SECONDS)})


async def _streams(request: Request) -> Streams:
    return request.app.state.streams


StreamsNeed = Annotated[Streams, Depends(_streams)]


def attachment(request: ExportRequest) -> dict[str, str]:
    """Return the headers of an exported file."""
    return {
        "Content-Type": request.format.facts.content_type,
        "Content-Disposition": f'attachment; filename="{request.table}{request.layout.extension}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


class ExportStream(Response):
    """The answer to a valid request. `caller`: the account or address whose limit of streams it counts for."""

    def __init__(self, streams: Streams, request: ExportRequest, caller: str) -> None:
        super().__init__(headers=attachment(request))
        del self.headers["Content-Length"]
        self._streams = streams
        self._request = request
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.place(self._caller) as (session, pipe):
            threading.Thread(target=self._write, args=(session, pipe), name=session).start()
            try:
                await self._send_all(pipe, send)
            finally:
                pipe.close()
                with CancelScope(shield=True):  # also when the client has disconnected
                    await self._stop(session, pipe)

    async def _send_all(self, pipe: BytePipe, send: Send) -> None:
        """Send the file. An error before its first bytes is raised, for the usual error answer."""
        beginning = await _beginning(pipe)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            piece: bytes | None = beginning
            while piece is not None:
                async with asyncio.timeout(self._streams.stores.settings.api_stream_idle_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await pipe.read()
        except BulkPipelineError as error:
            _log.warning("a stream failed", table=self._request.table, error=str(error))
            return  # the server closes the connection of an incomplete answer
        except TimeoutError:
            _log.warning("a stream was cut off: its client reads nothing", table=self._request.table)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _write(self, session: str, pipe: BytePipe) -> None:
        """Write the file. This runs in its own thread, so that slow clients do not hold threads of other requests."""
        request, database_url = self._request, self._streams.stores.database_url
        try:
            # Imported here, because it loads Arrow, which nothing else in the API needs.
            from bulk_pipeline.pipeline.stream import stream_export

            with self._streams.metrics.streaming(request.table, request.format) as counter:
                counted_rows = 0

                def count(rows: int, _: int) -> None:
                    nonlocal counted_rows
                    counter.add_rows(rows - counted_rows)
                    counted_rows = rows

                try:
                    stream_export(database_url, request, pipe, session=session, progress=count)
                except BulkPipelineError as error:
                    if pipe.is_closed:  # `_stop` has ended the session
                        raise ReaderGoneError from error
                    raise
        except BaseException as error:  # raised again by the pipe's reader
            pipe.end(error)
        else:
            pipe.end()

    async def _stop(self, session: str, pipe: BytePipe) -> None:
        """Wait for the thread. If it waits for a statement, end its database session."""
        while not pipe.ended.is_set():
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await pipe.ended.wait()
            except TimeoutError:
                await asyncio.to_thread(self._end_session, session)

    def _end_session(self, session: str) -> None:
        try:
            with self._streams.stores.postgres.transaction() as connection:
                end_sessions(connection, session)
        except BulkPipelineError as error:  # `_stop` tries again
            _log.warning("cannot end a stream's session", error=str(error))


async def _beginning(pipe: BytePipe) -> bytes:
    """Return the first `_HELD_BYTES` bytes, or all if there are fewer."""
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _HELD_BYTES and (piece := await pipe.read()) is not None:
        pieces.append(piece)
    return b"".join(pieces)
