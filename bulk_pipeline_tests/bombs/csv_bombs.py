"""Hostile delimited text."""

from bulk_pipeline_tests.bombs.bomb import Bomb

_HEADER = b"email,city\n"
_GOOD = b"a@b.co,Rome\n"
_START = _HEADER + _GOOD


def _utf(codec: str, text: bytes) -> bytes:
    return text.decode("ascii").encode(codec)


BOMBS = [
    Bomb("a quote that nobody closes", ".csv", lambda: _START + b'b@b.co,"' + b"x\n" * 16_000_000),
    Bomb("a quote opened in every line", ".csv", lambda: _START + b'b@b.co,"x\n' * 3_000_000),
    Bomb("sixteen million quotes", ".csv", lambda: _START + b'"' * 16_000_000),
    Bomb("lines of two commas", ".csv", lambda: b"email,city,phone\n" + b",,\n" * 8_000_000),
    Bomb("empty lines", ".csv", lambda: _START + b"\n" * 24_000_000),
    Bomb("lines of one cell", ".csv", lambda: _START + b"x\n" * 12_000_000),
    Bomb("a million cells in a row", ".csv", lambda: _START + (b"," * 1_000_000 + b"\n") * 16),
    Bomb(
        "nine thousand cells in every row",
        ".csv",
        lambda: _HEADER + _GOOD * 9 + (b"x," * 9_000 + b"\n") * 1_000,
    ),
    Bomb(
        "a header of a million names",
        ".csv",
        lambda: b",".join(b"%x" % n for n in range(1_000_000)) + b"\n" + _GOOD,
    ),
    Bomb(
        "nine thousand columns",
        ".csv",
        lambda: (
            b"email,"
            + b",".join(b"c%d" % n for n in range(9_000))
            + b"\n"
            + (b"a@b.co" + b"," * 9_000 + b"\n") * 1_000
        ),
    ),
    Bomb(
        "nine thousand names of 1 kB",
        ".csv",
        lambda: b"email," + b",".join(b"%01000d" % n for n in range(9_000)) + b"\n" + _GOOD,
    ),
    Bomb("one endless line", ".csv", lambda: _START + b"x" * 64_000_000),
    Bomb("one endless first line", ".csv", lambda: b"x" * 64_000_000),
    Bomb("cells of 12 MB", ".csv", lambda: _START + (b"b@b.co," + b"x" * (12 << 20) + b"\n") * 5),
    Bomb("cells of 12 MB in quotes", ".csv", lambda: _START + (b'b@b.co,"' + b"x" * (12 << 20) + b'"\n') * 5),
    Bomb("a cell of eight million quotes", ".csv", lambda: _START + b'b@b.co,"' + b'""' * 8_000_000 + b'"\n'),
    Bomb("NULs", ".csv", lambda: _START + b"\0" * 24_000_000),
    Bomb("NULs in UTF-16", ".csv", lambda: _utf("utf-16", _START) + b"\0\0" * 8_000_000),
    Bomb("NULs in UTF-32", ".csv", lambda: _utf("utf-32", _START) + b"\0\0\0\0" * 4_000_000),
    Bomb("half pairs in UTF-16", ".csv", lambda: _utf("utf-16", _START) + b"\x00\xd8" * 8_000_000),
    Bomb(
        "another encoding in every line",
        ".csv",
        lambda: _START + b"b@b.co,\xfc\nc@b.co,\xc3\xbc\nd@b.co,\xff\xfe\n" * 500_000,
    ),
    Bomb(
        "another delimiter in every line",
        ".csv",
        lambda: _START + b"b@b.co;x\nb@b.co\tx\nb@b.co|x\n" * 500_000,
    ),
    Bomb("a header in every line", ".csv", lambda: _START + _HEADER * 1_500_000),
    Bomb(
        "another table in every line",
        ".csv",
        lambda: _START + (_HEADER + b"city,email,phone\nRome,a@b.co,1\n") * 300_000,
    ),
    Bomb("backslashes", ".csv", lambda: _START + b"\\" * 24_000_000),
    Bomb("carriage returns", ".csv", lambda: _START + b"\r" * 24_000_000),
]
