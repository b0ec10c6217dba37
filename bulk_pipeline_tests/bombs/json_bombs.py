"""Hostile JSON: rows between two good ones, as NDJSON and as an array, and texts without an end."""

from collections.abc import Callable, Iterable
from functools import partial

from bulk_pipeline_tests.bombs.bomb import Bomb

_GOOD = b'{"email":"a@b.co","city":"Rome"}'


def _in(name: bytes, value: bytes, start: bytes = b'{"email":"b@b.co",') -> bytes:
    return start + b'"' + name + b'":' + value + b"}"


def _keys(count: int, between: bytes = b",") -> bytes:
    return b'{"email":"b@b.co",' + between.join(b'"%x":0' % n for n in range(count)) + b"}"


def _other_keys() -> Iterable[bytes]:
    return (b'{"email":"%d@b.co","a%d":1,"b%d":2,"c%d":3}' % (n, n, n, n) for n in range(500_000))


_ROWS: dict[str, Callable[[], Iterable[bytes]]] = {
    "a million keys in one object": lambda: [_keys(1_000_000)],
    "a million keys over a million lines": lambda: [_keys(1_000_000, b",\n  ")],
    "two million equal keys": lambda: [b'{"email":"b@b.co",' + b",".join([b'"k":0'] * 2_000_000) + b"}"],
    "other keys in every object": _other_keys,
    "a thousand keys in every object": lambda: [_keys(1000)] * 3000,
    "keys of 60 kB in every object": lambda: [_in(b"k" * 60_000, b"1")] * 300,
    "a key of 16 MB": lambda: [_in(b"k" * (16 << 20), b"1")],
    "four million numbers in a cell": lambda: [_in(b"city", b"[" + b"1," * 4_000_000 + b"1]")],
    "four million objects in a cell": lambda: [_in(b"x", b"[" + b"{}," * 4_000_000 + b"{}]")],
    "arrays nested a million deep": lambda: [_in(b"city", b"[" * 1_000_000 + b"]" * 1_000_000)],
    "objects nested a million deep": lambda: [_in(b"x", b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000)],
    "numbers of four million digits": lambda: [_in(b"city", b"9" * 4_000_000)] * 4,
    "a text of two million escapes": lambda: [_in(b"city", b'"' + rb"\u00e9\ud83d\ude00" * 1_000_000 + b'"')],
    "texts of 12 MB under a key of no column": lambda: [_in(b"x", b'"' + b"x" * (12 << 20) + b'"')] * 5,
    "texts of 12 MB in a column": lambda: [_in(b"city", b'"' + b"x" * (12 << 20) + b'"')] * 5,
    "four million empty objects": lambda: [b"{}"] * 4_000_000,
    "six million numbers for objects": lambda: [b"1"] * 6_000_000,
    "an array that nobody closes": lambda: [b'{"city":' + b"[" * 8_000_000],
    "objects that nobody closes": lambda: [b"{"] * 8_000_000,
    "a text that nobody closes": lambda: [b'{"email":"' + b"x\n" * 8_000_000],
    "sixteen million quotes": lambda: [b"{" + b'"' * 16_000_000],
}


def _lines(rows: Callable[[], Iterable[bytes]]) -> bytes:
    return b"\n".join([_GOOD, *rows(), _GOOD]) + b"\n"


def _array(rows: Callable[[], Iterable[bytes]]) -> bytes:
    return b"[" + b",\n".join([_GOOD, *rows(), _GOOD]) + b"]\n"


BOMBS = [
    *(Bomb(kind, ".ndjson", partial(_lines, rows)) for kind, rows in _ROWS.items()),
    Bomb("four million objects in one line", ".ndjson", lambda: _GOOD + b"{}" * 4_000_000 + b"\n"),
    *(Bomb(kind, ".json", partial(_array, rows)) for kind, rows in _ROWS.items()),
]
