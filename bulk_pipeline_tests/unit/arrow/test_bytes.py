"""Functions on the bytes of a whole column of texts."""

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.bytes import first_bytes, last_bytes, odd_texts, rows_of_bytes


def test_odd_texts_have_a_nul_or_a_byte_beyond_ascii() -> None:
    cells = pa.array([b"a", None, b"", b"a\0", "å".encode(), b"\xff", b"~"])
    assert odd_texts(cells).tolist() == [False, False, False, True, True, True, False]
    assert odd_texts(cells[2:4]).tolist() == [False, True]
    assert odd_texts(pa.array([None, None], pa.binary())).tolist() == [False, False]
    assert odd_texts(cells[:0]).tolist() == []
    assert odd_texts(pa.array([], pa.binary())).tolist() == []


def test_first_and_last_bytes_are_those_of_the_cells_in_the_slice() -> None:
    cells = pa.array(["zz", "ab", "é", "c"])[1:]
    assert first_bytes(cells).tolist() == [*b"a", 0xC3, *b"c"]
    assert last_bytes(cells).tolist() == [*b"b", 0xA9, *b"c"]
    assert last_bytes(pa.array(["", None, ""])).tolist() == []


def test_the_rows_of_bytes_come_once_each_without_empty_ones() -> None:
    cells = pa.array(["zz", "a", "", None, "bcd", "", "e"])[1:]
    assert rows_of_bytes(cells, np.array([0, 1, 3, 4]), 1).tolist() == [0, 3, 5]
    assert rows_of_bytes(cells, np.array([], np.int64), 1).tolist() == []


def test_bytes_that_continue_in_the_next_cell_are_in_no_cell() -> None:
    cells = pa.array(["zz", "a", "", None, "bcd", "", "e"])[1:]
    assert rows_of_bytes(cells, np.array([0, 1, 2, 3]), 2).tolist() == [3]
