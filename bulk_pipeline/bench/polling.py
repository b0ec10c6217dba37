"""Clients that poll the state of a job once a second during an import.

They share the machine with the server, so they must be cheap: each speaks HTTP/1.1 on its own connection without a
client library, which would use as much CPU per request as the server.
"""

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from bulk_pipeline.errors import WrongResultError

_PERIOD_SECONDS = 1.0
_ANSWER_SECONDS = 60.0
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Polls:
    """`seconds`: from each request to its complete answer. `states`: those of the first client, in order."""

    seconds: Sequence[float]
    states: Sequence[dict[str, Any]]


def poll(url: str, clients: int, finished: frozenset[str], most_seconds: float) -> Polls:
    """Let `clients` poll the JSON at `url` until its `status` is one of `finished`.

    Their starts are spread over a second. Raises `WrongResultError` for an answer other than 200, or if the status is
    not final after `most_seconds`.
    """
    return asyncio.run(_all(url, clients, finished, most_seconds))


async def _all(url: str, clients: int, finished: frozenset[str], most_seconds: float) -> Polls:
    seconds: list[float] = []
    states: list[dict[str, Any]] = []
    over = asyncio.Event()

    async def follow(number: int) -> None:
        await asyncio.sleep(number * _PERIOD_SECONDS / clients)
        client = await _Client.connect(url)
        try:
            while not over.is_set():
                started = time.perf_counter()
                body = await asyncio.wait_for(client.get(), _ANSWER_SECONDS)
                seconds.append(time.perf_counter() - started)
                if number == 0:
                    states.append(json.loads(body))
                    if states[-1]["status"] in finished:
                        over.set()
                await asyncio.sleep(max(0.0, _PERIOD_SECONDS - (time.perf_counter() - started)))
        finally:
            client.close()

    try:
        async with asyncio.timeout(most_seconds):
            await _together([follow(number) for number in range(clients)])
    except TimeoutError as error:
        raise WrongResultError(
            f"{url}: not finished after {most_seconds:g} s: {states[-1] if states else None}"
        ) from error
    return Polls(seconds, states)


async def _together(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all until they end. The first error cancels the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class _Client:
    """One connection, on which the same request is repeated."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request

    @classmethod
    async def connect(cls, url: str) -> "_Client":
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(reader, writer, f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())

    async def get(self) -> bytes:
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if int(head.split(None, 2)[1]) != HTTPStatus.OK:
            raise WrongResultError(f"the answer to a poll was {head.splitlines()[0].decode()}")
        length = next(line for line in head.split(b"\r\n") if line.startswith(_LENGTH))
        return await self._reader.readexactly(int(length[len(_LENGTH) :]))

    def close(self) -> None:
        self._writer.close()
