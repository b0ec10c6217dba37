"""Packs the bytes of a file in every way that uploads may be packed."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable

import zstandard


def zipped(data: bytes, *names: str) -> bytes:
    """Return a zip with the same data under each name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("upload",):
            archive.writestr(name, data)
    return out.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".bz2": bz2.compress,
    ".zip": zipped,
}
"""Packing functions by suffix of the file's name."""
