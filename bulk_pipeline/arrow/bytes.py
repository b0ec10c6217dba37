"""The contiguous bytes of a column of texts, and the texts of UUIDs, a column at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LAST_ASCII = 0x7F
_UUID_LENGTH = 36
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""The groups of the 32 digits; each is shifted by one more hyphen."""
_HEX = np.array([f"{number:02x}" for number in range(256)], "S2").view(np.uint16)
_DIGITS = np.array([place for place in range(_UUID_LENGTH) if place not in (8, 13, 18, 23)])
_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[list(b"0123456789abcdef")] = range(16)


def text_bytes(cells: pa.Array) -> np.ndarray:
    """Return the bytes of all cells together, as uint8; for (large) strings and (large) binary."""
    data = cells.buffers()[2]
    if not len(cells) or data is None:
        return np.empty(0, np.uint8)
    ends = _ends(cells)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _ends(cells: pa.Array) -> np.ndarray:
    """Return the start of each text, and the end of the last one."""
    is_large = pa.types.is_large_string(cells.type) or pa.types.is_large_binary(cells.type)
    ends = np.frombuffer(cells.buffers()[1], np.int64 if is_large else np.int32)
    return ends[cells.offset : cells.offset + len(cells) + 1]


def rows_of_bytes(cells: pa.Array, places: np.ndarray, length: int) -> np.ndarray:
    """Return the indexes, sorted and unique, of the cells that contain `length` bytes from one of the places.

    `places`: positions in `text_bytes`, ascending.
    """
    if not len(places):
        return places
    ends = _ends(cells)
    ends = ends - ends[0]
    rows = np.searchsorted(ends, places, side="right") - 1
    rows = rows[places + length <= ends[rows + 1]]
    return rows[np.diff(rows, prepend=-1) > 0]


def odd_texts(cells: pa.Array) -> np.ndarray:
    """Return a mask of the texts with a NUL, or with a byte that is not ASCII."""
    octets, ends = text_bytes(cells), _ends(cells)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum((octets == 0) | (octets > _LAST_ASCII))])
    counts = before[ends - ends[0]]
    return counts[1:] > counts[:-1]


def first_bytes(cells: pa.Array) -> np.ndarray:
    """Return the first byte of every text, as uint8; for an empty text a byte of another one."""
    octets = text_bytes(cells)
    if not len(octets):
        return octets
    ends = _ends(cells)
    return octets[np.minimum(ends[:-1] - ends[0], len(octets) - 1)]


def last_bytes(cells: pa.Array) -> np.ndarray:
    """Return the last byte of every text, as uint8; for an empty text a byte of another one."""
    octets = text_bytes(cells)
    return octets[_ends(cells)[1:] - _ends(cells)[0] - 1] if len(octets) else octets


def fixed_width(characters: np.ndarray) -> pa.StringArray:
    """Return texts of equal length. `characters`: a row of ASCII characters for each, as uint8."""
    rows, length = characters.shape
    offsets = np.arange(0, length * (rows + 1), length, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters))


def uuid_texts(octets: np.ndarray, prefix: str = "") -> pa.StringArray:
    """Return the canonical texts of UUIDs, given as rows of 16 octets, after an ASCII prefix."""
    rows, begin = len(octets), len(prefix)
    digits = _HEX.take(octets.reshape(-1)).view(np.uint8).reshape(rows, 32)
    written = np.full((rows, begin + _UUID_LENGTH), ord("-"), np.uint8)
    written[:, :begin] = np.frombuffer(prefix.encode("ascii"), np.uint8)
    for hyphens, (start, stop) in enumerate(_GROUPS):
        written[:, begin + start + hyphens : begin + stop + hyphens] = digits[:, start:stop]
    return fixed_width(written)


def hex_texts(cells: pa.Array) -> pa.Array:
    """Return binary cells as two hexadecimal digits for each byte."""
    cells = cells.cast(pa.binary())
    digits = _HEX.take(text_bytes(cells)).view(np.uint8)
    offsets = ((_ends(cells) - _ends(cells)[0]) * 2).astype(np.int32)
    texts = pa.StringArray.from_buffers(len(cells), pa.py_buffer(offsets), pa.py_buffer(digits))
    return pc.if_else(cells.is_valid(), texts, None) if cells.null_count else texts


def hex_octets(texts: pa.Array) -> pa.Array:
    """Return the bytes of texts of hexadecimal digits in lower case, two for each byte."""
    nibbles = _NIBBLES[text_bytes(texts)]
    octets = nibbles[0::2] << 4 | nibbles[1::2]
    offsets = ((_ends(texts) - _ends(texts)[0]) // 2).astype(np.int32)
    cells = pa.Array.from_buffers(
        pa.binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(octets)]
    )
    return pc.if_else(texts.is_valid(), cells, None) if texts.null_count else cells


def uuid_octets(texts: pa.StringArray) -> np.ndarray:
    """Return a row of 16 octets for each canonical text; none may be NULL."""
    nibbles = _NIBBLES[text_bytes(texts).reshape(len(texts), _UUID_LENGTH)[:, _DIGITS]]
    return nibbles[:, 0::2] << 4 | nibbles[:, 1::2]
