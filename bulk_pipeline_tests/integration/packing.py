"""Packs the bytes of a file in every way an upload may be packed."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable

import zstandard


def zipped(data: bytes, *names: str) -> bytes:
    """A zip with the same data under each of the names."""
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
"""By how the file's name ends."""
