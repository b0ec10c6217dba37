"""Creates archives and documents of every kind, as bytes."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence

_CHECKSUM = slice(148, 156)


def tarred(members: Mapping[str, bytes], format_: int = tarfile.PAX_FORMAT, **pax: str) -> bytes:
    """Return a tar of regular files; a name that ends with a slash is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_, pax_headers=pax or None) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def old_tar(name: str, data: bytes) -> bytes:
    """Return a tar as of Unix version 7: without magic, version and types."""
    packed = bytearray(tarred({name: data}, tarfile.USTAR_FORMAT))
    packed[156:512] = bytes(356)
    packed[_CHECKSUM] = b" " * 8
    packed[_CHECKSUM] = b"%06o\0 " % sum(packed[:512])
    return bytes(packed)


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def marked(packed: bytes, *, flags: int = 0, method: int | None = None) -> bytes:
    """Return the zip with other flags or another method in the headers of its members."""
    data = bytearray(packed)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(magic)
        while start >= 0:
            old_flags, old_method = struct.unpack_from("<HH", data, start + at)
            struct.pack_into(
                "<HH", data, start + at, old_flags | flags, old_method if method is None else method
            )
            start = data.find(magic, start + 4)
    return bytes(data)


def compound_file(streams: Sequence[str], sectors_before: int = 1) -> bytes:
    """Return an OLE compound file: the header, and a directory of streams."""
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2) + bytes(62)
        for name in ("Root Entry", *streams)
    )
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512 * (1 + sectors_before), b"\0") + entries + bytes(512)


def dbase() -> bytes:
    field = b"EMAIL".ljust(11, b"\0") + b"C" + bytes(4) + b"\x14" + bytes(15)
    header = b"\x03" + bytes([124, 2, 29]) + struct.pack("<IHH", 1, 32 + len(field) + 1, 21) + bytes(20)
    return header + field + b"\r" + b" " + b"a@b.co".ljust(20) + b"\x1a"
