"""The bytes of a column of texts, which Arrow keeps side by side, and the texts of UUIDs, a column at a time."""

import numpy as np
import pyarrow as pa

_LAST_ASCII = 0x7F
_UUID_LENGTH = 36
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""Which of the 32 digits stand together; each group moves on by one hyphen."""
_HEX = np.array([f"{number:02x}" for number in range(256)], "S2").view(np.uint16)
_DIGITS = np.array([place for place in range(_UUID_LENGTH) if place not in (8, 13, 18, 23)])
_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[list(b"0123456789abcdef")] = range(16)


def text_bytes(cells: pa.Array) -> np.ndarray:
    """The bytes of all cells together, as uint8; of strings or binary cells, large ones too."""
    data = cells.buffers()[2]
    if not len(cells) or data is None:
        return np.empty(0, np.uint8)
    ends = _ends(cells)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _ends(cells: pa.Array) -> np.ndarray:
    """Where each text begins, and the last one ends."""
    is_large = pa.types.is_large_string(cells.type) or pa.types.is_large_binary(cells.type)
    ends = np.frombuffer(cells.buffers()[1], np.int64 if is_large else np.int32)
    return ends[cells.offset : cells.offset + len(cells) + 1]


def rows_of_bytes(cells: pa.Array, places: np.ndarray) -> np.ndarray:
    """The indexes of the cells in which bytes stand, each once and in order; `places` are those in `text_bytes`,
    ascending."""
    ends = _ends(cells)
    rows = np.searchsorted(ends - ends[0], places, side="right") - 1
    return rows[np.diff(rows, prepend=-1) > 0]


def odd_texts(cells: pa.Array) -> np.ndarray:
    """Which of the texts have a NUL, or a byte that is not ASCII."""
    octets, ends = text_bytes(cells), _ends(cells)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum((octets == 0) | (octets > _LAST_ASCII))])
    counts = before[ends - ends[0]]
    return counts[1:] > counts[:-1]


def first_bytes(cells: pa.Array) -> np.ndarray:
    """The first byte of every text that has one, as uint8; that of an empty one is some other's."""
    octets = text_bytes(cells)
    if not len(octets):
        return octets
    ends = _ends(cells)
    return octets[np.minimum(ends[:-1] - ends[0], len(octets) - 1)]


def last_bytes(cells: pa.Array) -> np.ndarray:
    """The last byte of every text that has one, as uint8; that of an empty one is some other's."""
    octets = text_bytes(cells)
    return octets[_ends(cells)[1:] - _ends(cells)[0] - 1] if len(octets) else octets


def fixed_width(characters: np.ndarray) -> pa.StringArray:
    """Texts that are all of one length: a row of ASCII characters each, as uint8."""
    rows, length = characters.shape
    offsets = np.arange(0, length * (rows + 1), length, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(characters))


def uuid_texts(octets: np.ndarray, prefix: str = "") -> pa.StringArray:
    """The canonical texts of UUIDs, a row of 16 octets each, behind an ASCII prefix."""
    rows, begin = len(octets), len(prefix)
    digits = _HEX.take(octets.reshape(-1)).view(np.uint8).reshape(rows, 32)
    written = np.full((rows, begin + _UUID_LENGTH), ord("-"), np.uint8)
    written[:, :begin] = np.frombuffer(prefix.encode("ascii"), np.uint8)
    for hyphens, (start, stop) in enumerate(_GROUPS):
        written[:, begin + start + hyphens : begin + stop + hyphens] = digits[:, start:stop]
    return fixed_width(written)


def uuid_octets(texts: pa.StringArray) -> np.ndarray:
    """The other way: a row of 16 octets for each canonical text, of which none is NULL."""
    nibbles = _NIBBLES[text_bytes(texts).reshape(len(texts), _UUID_LENGTH)[:, _DIGITS]]
    return nibbles[:, 0::2] << 4 | nibbles[:, 1::2]
