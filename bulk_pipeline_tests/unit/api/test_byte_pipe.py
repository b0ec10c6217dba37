"""The pipe from a writing thread to a reading coroutine."""

import asyncio
import threading

import pytest

from bulk_pipeline.api.byte_pipe import MOST_BYTES, BytePipe, ReaderGoneError


def start_writer(pipe: BytePipe, *pieces: bytes, error: BaseException | None = None) -> threading.Thread:
    def write() -> None:
        try:
            for piece in pieces:
                pipe.write(piece)
        except ReaderGoneError as gone:
            pipe.end(gone)
        else:
            pipe.end(error)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


async def read_all(pipe: BytePipe) -> bytes:
    pieces: list[bytes] = []
    while (piece := await pipe.read()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


def test_data_is_read_in_the_order_of_writing_and_the_pipe_holds_no_more_than_its_limit() -> None:
    content = bytes(range(256)) * 40_000

    async def run() -> None:
        pipe = BytePipe()
        thread = start_writer(pipe, b"", b"header", content)
        assert await read_all(pipe) == b"header" + content
        thread.join()
        assert 0 < pipe.most_held_bytes <= MOST_BYTES
        assert pipe.held_bytes == 0

    asyncio.run(run())


def test_an_error_is_raised_after_the_data_written_before_it() -> None:
    async def run() -> None:
        pipe = BytePipe()
        start_writer(pipe, b"rows", error=ValueError("away")).join()
        assert await pipe.read() == b"rows"
        with pytest.raises(ValueError, match="away"):
            await pipe.read()

    asyncio.run(run())


def test_a_writer_that_waits_for_room_fails_when_the_reader_closes_the_pipe() -> None:
    async def run() -> None:
        pipe = BytePipe()
        thread = start_writer(pipe, b"x" * (2 * MOST_BYTES))
        await pipe.read()
        pipe.close()
        await pipe.ended.wait()
        thread.join()
        with pytest.raises(ReaderGoneError):
            await pipe.read()

    asyncio.run(run())
