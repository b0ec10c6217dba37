"""One JSON object costs no more than a row may: its values, keys and cells are counted before it is parsed."""

from collections.abc import Callable

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import read

A, B = '{"email": "a@b.co"}', '{"email": "b@b.co"}'
LIMITS = Limits(row_values=50, columns=10, name_bytes=20, cell_bytes=1000)


def as_ndjson(*items: str) -> bytes:
    return "\n".join(items).encode() + b"\n"


def as_array(*items: str) -> bytes:
    return ("[" + ",\n".join(items) + "]").encode()


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ('{"email": "x", "tags": [' + "1," * 60 + "1]}", "has more than 50 values"),
        ('{"email": "x", "tags": [' + "{}," * 60 + "{}]}", "has more than 50 values"),
        ('{"email": ' + "[" * 60 + "]" * 60 + "}", "has more than 50 values"),
        ("{" + ",".join(['"email": 1'] * 60) + "}", "has more than 50 values"),
        ("{" + ",".join(f'"k{n}": 1' for n in range(11)) + "}", "has 11 keys: of columns, the limit is 10 (BULK_MAX_COLUMNS)"),
        ('{"email": "x", "' + "k" * 21 + '": 1}', "has a key of 21 bytes: of names, the limit is 20 (BULK_MAX_NAME_BYTES)"),
        ('{"email": "x", "' + "é" * 11 + '": 1}', "has a key of 22 bytes: of names, the limit is 20 (BULK_MAX_NAME_BYTES)"),
        ('{"email": "x", "city": "' + "é" * 501 + '"}', "has 1,002 bytes in city, the limit is 1,000 (BULK_MAX_CELL_BYTES)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("write", [as_ndjson, as_array])
@pytest.mark.parametrize("table", ["customers", None])
def test_an_object_past_a_bound_is_too_long_and_costs_itself(
    item: str, problem: str, write: Callable[..., bytes], table: str | None
) -> None:
    result = read(write(A, item, B), "x.json", table=table, limits=LIMITS)
    assert result.column("email") == ["a@b.co", "b@b.co"]
    assert [(row, code, message) for row, _, _, code, message in result.failures] == [
        (2, "too_long", problem)
    ]
    assert result.raw[2] == item.encode()


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_an_object_as_large_as_the_bounds_is_a_row(write: Callable[..., bytes]) -> None:
    texts = '"' + ",{[" * 200 + '", ' + '"\\"[", ' * 40 + '"]"'
    item = f'{{"email": "b@b.co", "{"k" * 20}": [{texts}], "city": "{"x" * 1000}"}}'
    result = read(write(A, item, B), "x.json", limits=LIMITS)
    assert (result.column("email"), result.failures) == (["a@b.co", "b@b.co", "b@b.co"], [])
    assert result.column("city") == [None, "x" * 1000, None]


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_the_beginning_of_an_oversize_row_is_kept(write: Callable[..., bytes]) -> None:
    result = read(write(A, '{"email": "x", "x": [' + "1," * 60_000 + "1]}", B), "x.json", limits=LIMITS)
    assert {row: len(raw) for row, raw in result.raw.items()} == {1: 19, 2: 65_536, 3: 19}


def test_a_line_past_the_bounds_is_one_row_wherever_it_is_cut_into_pieces() -> None:
    long = '{"email": "x", "x": [' + "1," * 3_000_000 + "1]}"
    result = read(as_ndjson(A, long, B), "x.ndjson", limits=LIMITS, piece=100_000)
    assert result.rows == {1: result.rows[1], 3: result.rows[3]}
    assert [failure[:4] for failure in result.failures] == [(2, 2, None, "too_long")]


def test_an_object_past_the_bounds_over_many_lines_stops_the_file() -> None:
    item = '{\n  "email": "x",\n  "tags": [\n' + ",\n".join(["    1"] * 20_000) + "\n  ]\n}"
    with pytest.raises(FileError, match="the object that begins in line 2 has more than 50 values"):
        read(as_ndjson(A, item, B), "x.json", limits=LIMITS)
    assert read(as_array(A, item, B), "x.json", limits=LIMITS).places == [(2, None, None, "too_long")]


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_a_number_of_any_length_is_text(write: Callable[..., bytes]) -> None:
    digits = "9" * 5000
    result = read(write(f'{{"email": "a@b.co", "city": {digits}}}', B), "x.json")
    assert (result.column("city"), result.failures) == ([digits, None], [])


def test_a_document_of_one_object_with_a_long_number_is_a_row() -> None:
    digits = "9" * 5000
    result = read(f'{{"email": "a@b.co", "city": {digits}}}'.encode(), "x.json")
    assert (result.column("city"), result.failures) == ([digits], [])


def test_members_in_the_first_line_of_an_object_over_several_lines_are_read() -> None:
    text = '{"email": "a@b.co",\n "city": "Rome"}\n' * 2 + B
    result = read(text.encode(), "x.ndjson")
    assert (result.column("city"), result.failures) == (["Rome", "Rome", None], [])
    assert list(result.lines.values()) == [1, 3, 5]


def test_broken_and_good_objects_alternate_in_one_long_line() -> None:
    result = read((A + "{x}" + B).encode() * 4_000, "x.json")
    assert result.column("email") == ["a@b.co", "b@b.co"] * 4_000
    assert [failure[3] for failure in result.failures] == ["malformed_row"] * 4_000


def test_first_objects_with_many_keys_do_not_make_many_cells_of_small_ones() -> None:
    wide = "{" + ",".join(['"email": "w@b.co"', *(f'"k{n}": 1' for n in range(9_000))]) + "}"
    result = read(as_ndjson(wide, *[A] * 30_000), "x.json")
    assert (len(result.rows), result.failures) == (30_001, [])


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_very_many_small_objects_come_in_chunks(write: Callable[..., bytes]) -> None:
    result = read(write(A, *["{}"] * 200_000, B), "x.json")
    assert (len(result.rows), list(result.rows)[-1]) == (200_002, 200_002)
