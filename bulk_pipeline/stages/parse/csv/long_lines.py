"""Truncates physical lines above the row limit, so that no such line is held in memory."""

from collections.abc import Iterable, Iterator

from bulk_pipeline.limits import Limits


def shortened_lines(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield the chunks with each line above the row limit cut to one byte more than the limit, plus its line end."""
    most = limits.row_bytes + 1
    size = 0  # of the line that continues across chunks
    for chunk in chunks:
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        if size + len(chunk) <= most:  # the usual case: no line of the chunk can be too long
            size = len(chunk) - 1 - last if last >= 0 else size + len(chunk)
            yield chunk
            continue
        pieces, start = [], 0
        while start < len(chunk):
            end = _line_end(chunk, start)
            stop = min(end, start + max(0, most - size))
            pieces.append(chunk[start:stop])
            size += end - start
            if end < len(chunk):
                after = end
                while after < len(chunk) and chunk[after] in b"\r\n":
                    after += 1
                pieces.append(chunk[end:after])
                end, size = after, 0
            start = end
        yield b"".join(pieces)


def _line_end(data: bytes, start: int) -> int:
    ends = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
    return min(ends, default=len(data))
