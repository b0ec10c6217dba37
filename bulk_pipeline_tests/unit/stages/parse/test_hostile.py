"""Files built to take forever are read or refused in time proportional to their size."""

import contextlib
import io
import time

import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import open_upload

SIZE = 100_000
SECONDS = 5.0  # five times what the slowest takes on an idle machine; what is quadratic takes minutes


def repeated(text: bytes) -> bytes:
    return (text * (SIZE // len(text) + 1))[:SIZE]


HEADER = b"email,city,phone\n"
APOSTROPHES = HEADER + b"'a','b','c'\n" * 5000
ESCAPES = HEADER + b'"a\\"b","c","d"\n' * 3000
HOSTILE = {
    "a quote opened in every line": HEADER + repeated(b'"x\n'),
    "a quote opened and doubled in every line": HEADER + repeated(b'x,"""\n'),
    "the same between good lines": HEADER + repeated(b'a,b,c\nx,"""\n'),
    "quotes": HEADER + repeated(b'"'),
    "quotes and delimiters": HEADER + repeated(b'",'),
    "carriage returns": HEADER + repeated(b"x\r"),
    "an apostrophe opened in every line": APOSTROPHES + repeated(b"'x\n"),
    "escaped quotes": ESCAPES + repeated(b'"\\"\n'),
    "backslashes": ESCAPES + repeated(b"\\"),
    "blanks": repeated(b" ") + b"\n" + HEADER,
    "blanks and quotes": repeated(b"' , ' ;\t"),
    "delimiters of all kinds": repeated(b"a;b|c\td~e^f:g h\n"),
    "brackets": b"[" * SIZE,
    "nested objects": b'{"a":' * (SIZE // 5),
    "closing brackets": b"[" + repeated(b"},{"),
    "commas in an array": b'[{"a":1}' + repeated(b",  "),
    "quotes in an array": b'[{"a":1}' + repeated(b',{"a":"'),
    "backslashes in an array": b'[{"a":"' + repeated(b"\\"),
    "broken elements": b"[" + repeated(b'{"a" 1},'),
    "broken lines": b'{"email":"a"}\n' + repeated(b"x\n"),
    "a key for every object": b"".join(b'{"k%d":1}\n' % i for i in range(SIZE // 12)),
}


@pytest.mark.parametrize("table", ["customers", None])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_no_more_time_than_its_size_asks_for(name: str, table: str | None) -> None:
    started = time.process_time()
    with contextlib.suppress(FileError):
        for _ in open_upload(io.BytesIO(HOSTILE[name]), "upload", table=tables.get(table) if table else None):
            pass
    assert time.process_time() - started < SECONDS
