"""The channel between a thread that writes and a coroutine that sends."""

import asyncio
import threading

import pytest

from bulk_pipeline.api.channel import MOST_BYTES, Channel, ReaderGoneError


def writing(channel: Channel, *pieces: bytes, error: BaseException | None = None) -> threading.Thread:
    def write() -> None:
        try:
            for piece in pieces:
                channel.write(piece)
        except ReaderGoneError as gone:
            channel.end(gone)
        else:
            channel.end(error)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


async def taken(channel: Channel) -> bytes:
    pieces: list[bytes] = []
    while (piece := await channel.take()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


def test_what_is_written_is_taken_in_order_and_no_more_is_held_than_allowed() -> None:
    content = bytes(range(256)) * 40_000

    async def through() -> None:
        channel = Channel()
        thread = writing(channel, b"", b"header", content)
        assert await taken(channel) == b"header" + content
        thread.join()
        assert 0 < channel.most_held_bytes <= MOST_BYTES
        assert channel.held_bytes == 0

    asyncio.run(through())


def test_an_error_comes_after_what_was_written_before() -> None:
    async def through() -> None:
        channel = Channel()
        writing(channel, b"rows", error=ValueError("away")).join()
        assert await channel.take() == b"rows"
        with pytest.raises(ValueError, match="away"):
            await channel.take()

    asyncio.run(through())


def test_a_writer_who_waits_for_room_learns_that_nobody_reads() -> None:
    async def through() -> None:
        channel = Channel()
        thread = writing(channel, b"x" * (2 * MOST_BYTES))
        await channel.take()
        channel.leave()
        await channel.ended.wait()
        thread.join()
        with pytest.raises(ReaderGoneError):
            await channel.take()

    asyncio.run(through())
