"""Files in the object store as answers, read while they are sent."""

from collections.abc import Iterator
from io import BufferedReader
from urllib.parse import quote

from fastapi.responses import StreamingResponse

from bulk_pipeline.s3.objects import ObjectStore

_COPY_BYTES = 256 << 10


def pieces(file: BufferedReader) -> Iterator[bytes]:
    """Yield the file's bytes, and close it."""
    with file:
        while piece := file.read1(_COPY_BYTES):
            yield piece


def stored_file(
    objects: ObjectStore, bucket: str, key: str, name: str, media_type: str = "application/octet-stream"
) -> StreamingResponse:
    """Return the object as a download of that name. Raises `NotFoundError` if it does not exist.

    A name in any characters is sent as RFC 6266 says. Browsers do not open the file as a page.
    """
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces(objects.open(bucket, key)), media_type=media_type, headers=headers)
