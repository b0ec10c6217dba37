"""Objects in every layout are records: several per line, over several lines, after commas or record separators."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline.stages.parse.json.lines import COMMAS
from bulk_pipeline_tests.unit.stages.parse.reading import Result, read

A, B, C = (json.dumps({"email": f"{name}@b.co", "city": 'x}{"y'}) for name in "abc")
PRETTY = json.dumps({"email": "p@b.co", "city": "x"}, indent=2)


def found(result: Result) -> list[tuple[int, int | None, str | None]]:
    """Return row, line and the name in the address of each record."""
    emails = zip(result.rows, result.column("email"), strict=True)
    return [(row, result.lines[row], email and email[0]) for row, email in emails]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A + B + C, [(1, 1, "a"), (2, 1, "b"), (3, 1, "c")]),
        (f"{A} {B}\t{C}\n", [(1, 1, "a"), (2, 1, "b"), (3, 1, "c")]),
        (f"{A}\n{B}{C}\n{A}\n", [(1, 1, "a"), (2, 2, "b"), (3, 2, "c"), (4, 3, "a")]),
        (f"{A}\r\n\r\n{B}{C}\r\n", [(1, 1, "a"), (2, 3, "b"), (3, 3, "c")]),
        (f"{A}\r{B}\r\r{C}\r", [(1, 1, "a"), (2, 2, "b"), (3, 4, "c")]),
        (f"\x1e{A}\n\x1e{B}\n", [(1, 1, "a"), (2, 2, "b")]),
        (f"\x1e{A}\x1e{B}", [(1, 1, "a"), (2, 1, "b")]),
        (f"{PRETTY}\n", [(1, 1, "p")]),
        (f"{PRETTY}\n{PRETTY}\n\n{PRETTY}", [(1, 1, "p"), (2, 5, "p"), (3, 10, "p")]),
        (f"{PRETTY}{PRETTY}\n{A}", [(1, 1, "p"), (2, 4, "p"), (3, 8, "a")]),
        (f"{A}{PRETTY}\n{B}\n", [(1, 1, "a"), (2, 1, "p"), (3, 5, "b")]),
        ('{\n"email":\n"p@b.co"\n}\n{\n"email":"q@b.co"}', [(1, 1, "p"), (2, 5, "q")]),
        (json.dumps({"email": "p@b.co"}, indent="\t"), [(1, 1, "p")]),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", ["x.json", "x.ndjson", "x.csv", "x"])
def test_objects_are_records_however_they_are_laid_out(
    text: str, expected: list[Any], piece: int, name: str
) -> None:
    result = read(text.encode(), name, piece=piece)
    assert (found(result), result.failures) == (expected, [])
    assert all(b"\n" not in raw and json.loads(raw)["email"] for raw in result.raw.values())
    assert not [warning for warning in result.warnings if "commas" in warning]


@pytest.mark.parametrize(
    "text",
    [f"{A},\n{B},\n{C}\n", f"{A},\n{B},\n{C},\n", f"{A}\n,{B}\n,{C}", f"{A},{B},{C}", f"{A} ,\r\n{B},{C}"],
)
def test_commas_after_objects_are_taken_for_separators_with_a_warning(text: str) -> None:
    result = read(text.encode(), "x.ndjson")
    assert ([email for *_, email in found(result)], result.failures) == (["a", "b", "c"], [])
    assert (result.warnings, result.raw[1]) == ([COMMAS], A.encode())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [f"{A}\n{B}\n", f"[{A},\n{B}]", f" {PRETTY}\n{B}"])
def test_json_in_utf16_and_utf32_needs_no_mark(encoding: str, text: str) -> None:
    result = read(text.encode(encoding), "x.json")
    assert (len(result.rows), result.failures, result.dialect.encoding) == (2, [], encoding)
    assert result.warnings == [f"the JSON has no byte order mark: its first characters say {encoding}"]
    marked = read(b"\xef\xbb\xbf" + text.encode(), "x.json")
    assert (marked.cells, marked.warnings) == (result.cells, [])


def test_a_broken_object_between_others_costs_itself() -> None:
    broken = '{"email": }'
    for text, row, line in (
        (A + broken + B + C, 2, 1),
        (f"{A}\n{B}{broken}{C}\n", 3, 2),
        (f"{A}\n{broken}{B}\n{C}", 2, 2),
        (f"{A}{B}\n{C}{broken}\n", 4, 2),
    ):
        result = read(text.encode(), "x.ndjson")
        assert [email for *_, email in found(result)] == ["a", "b", "c"]
        assert (result.places, result.raw[row]) == ([(row, line, None, "malformed_row")], broken.encode())


def test_a_broken_object_over_several_lines_is_one_row() -> None:
    broken = PRETTY.replace('"x"', "")
    result = read(f"{PRETTY}\n{broken}\n{PRETTY}\n{broken}\n{PRETTY}".encode(), "x.json")
    assert found(result) == [(1, 1, "p"), (3, 9, "p"), (5, 17, "p")]
    assert result.places == [(2, 5, None, "malformed_row"), (4, 13, None, "malformed_row")]
    flat = broken.replace("  ", "")
    result = read(f"{flat}\n{flat}\n{PRETTY}\n".encode(), "x.json")
    assert (found(result), [place[:2] for place in result.places]) == ([(3, 9, "p")], [(1, 1), (2, 5)])
    cut = read(f"{PRETTY}\n{PRETTY[:30]}".encode(), "x.json")
    assert (found(cut), cut.places) == ([(1, 1, "p")], [(2, 5, None, "malformed_row")])


def test_a_line_that_is_cut_short_does_not_take_the_next_one_with_it() -> None:
    for cut in ('{"email": "x', '{"email":', '{"email": ["a"', "{", '{"email": {'):
        result = read(f"{A}\n{cut}\n{B}\n{C}\n".encode(), "x.ndjson")
        assert found(result) == [(1, 1, "a"), (3, 3, "b"), (4, 4, "c")]
        assert (result.places, result.raw[2]) == ([(2, 2, None, "malformed_row")], cut.encode())


def test_a_long_line_of_objects_is_read_piece_by_piece() -> None:
    items = [json.dumps({"email": f"u{number}@b.co", "city": "}{" * 40}) for number in range(30_000)]
    result = read("".join(items).encode(), "x.json", limits=Limits(row_bytes=1_000_000))
    assert result.column("email") == [f"u{number}@b.co" for number in range(30_000)]
    assert (set(result.lines.values()), result.failures) == ({1}, [])
    assert list(result.raw.values())[-1] == items[-1].encode()


def test_lines_after_a_long_line_of_objects_are_counted() -> None:
    text = A * 40_000 + "\n" + B + "\n" + A * 40_000 + "\n" + C
    result = read(text.encode(), "x.json")
    assert found(result)[40_000] == (40_001, 2, "b")
    assert found(result)[-1] == (80_002, 4, "c")


def test_pretty_printed_objects_are_read_across_blocks() -> None:
    items = [json.dumps({"email": f"u{number}@b.co", "city": "x" * 90}, indent=2) for number in range(20_000)]
    result = read("\n".join(items).encode(), "x.json")
    assert result.column("email") == [f"u{number}@b.co" for number in range(20_000)]
    assert list(result.lines.values()) == list(range(1, 80_000, 4))


def test_an_object_over_more_lines_than_the_limit_has_bytes_stops_the_file() -> None:
    with pytest.raises(FileError, match="a line is longer than 1,000,000 bytes"):
        read(
            b'{"email": "x", "tags": [\n' + b'"x",\n' * 500_000,
            "x.json",
            limits=Limits(row_bytes=1_000_000),
        )


LAYOUTS = st.sampled_from(["\n", "", " ", ",\n", "\n\n", "\r\n", "\x1e", " ,"])


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, PRETTY, '{"email":"d@b.co"}', "{}"]), LAYOUTS),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([3, 50, 1 << 20]),
)
def test_every_object_is_one_row_in_the_line_where_it_begins(
    items: list[tuple[str, str]], piece: int
) -> None:
    text, lines = "", []
    for item, after in items:
        lines.append(text.count("\n") + 1)
        text += item + after
    if not text.strip("{} \r\n,\x1e"):
        return
    result = read(text.encode(), "x.ndjson", piece=piece)
    assert list(result.lines.values()) == lines
    assert [json.loads(raw) for raw in result.raw.values()] == [json.loads(item) for item, _ in items]
    assert result.failures == []
