"""Questions about the bytes of a whole column of texts."""

import pyarrow as pa

from bulk_pipeline.schema.octets import odd_texts


def test_odd_texts_have_a_nul_or_a_byte_beyond_ascii() -> None:
    cells = pa.array([b"a", None, b"", b"a\0", "å".encode(), b"\xff", b"~"])
    assert odd_texts(cells).tolist() == [False, False, False, True, True, True, False]
    assert odd_texts(cells[2:4]).tolist() == [False, True]
    assert odd_texts(pa.array([None, None], pa.binary())).tolist() == [False, False]
    assert odd_texts(cells[:0]).tolist() == []
    assert odd_texts(pa.array([], pa.binary())).tolist() == []
