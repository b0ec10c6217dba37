"""Cuts physical lines short that are longer than a row may be, so that none is ever held as a whole."""

from collections.abc import Iterable, Iterator

from bulk_pipeline.limits import Limits


def shortened_lines(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """The chunks; of a line that is longer than a row may be, one byte more than that, and its end."""
    most = limits.row_bytes + 1
    size = 0  # of the line that goes on from chunk to chunk
    for chunk in chunks:
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        if size + len(chunk) <= most:  # as nearly always: no line of the chunk can be too long
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
    found = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
    return min(found, default=len(data))
