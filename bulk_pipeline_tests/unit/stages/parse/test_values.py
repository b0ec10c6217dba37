"""In any format with types, the text of a cell has the same value as the file, or a failure names the cell."""

import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from bulk_pipeline.schema.invisible import BLANKS
from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

CODE = "bad_encoding"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

numbers = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=9).map(lambda number: f"{number:f}"),
    st.builds("{}e{}".format, st.integers(-99, 99), st.integers(-999, 999)),
)
others = st.one_of(st.none(), st.booleans(), st.text(st.characters(exclude_categories=[]), max_size=8))


def in_json(value: object, number: str | None, *, ascii_only: bool) -> str:
    """Return a value as JSON: numbers digit by digit, and lone surrogates, which UTF-8 lacks, escaped."""
    if number is not None:
        return number
    text = json.dumps(value, ensure_ascii=ascii_only)
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


@given(
    st.lists(
        st.tuples(st.none(), numbers) | st.tuples(others, st.none()),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
    st.sampled_from(["ndjson", "array"]),
    st.sampled_from(["", " ", "\t "]),
)
def test_any_value_of_json(
    values: list[tuple[object, str | None]], ascii_only: bool, shape: str, space: str
) -> None:
    objects = [
        f'{{"email":{space}"a@b.co"{space},"city":{space}{in_json(value, number, ascii_only=ascii_only)}{space}}}'
        for value, number in values
    ]
    text = "\n".join(objects) if shape == "ndjson" else f"[{f',{space}'.join(objects)}]"
    result = read(text.encode(), "upload.json")
    expected = [number or json_text(value) for value, number in values]
    assert_told(result.column("city"), result.places, expected)


def json_text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def assert_told(found: list[str | None], places: list[Any], expected: list[str | None]) -> None:
    """Check the texts; each text that Postgres cannot store must be a failure of its cell."""
    bad = [text is not None and not is_text(text) for text in expected]
    assert found == [None if wrong else text for wrong, text in zip(bad, expected, strict=True)]
    assert [(place[0], *place[2:]) for place in places] == [
        (row, "city", CODE) for row, wrong in enumerate(bad, 1) if wrong
    ]


def is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@st.composite
def columns(draw: st.DrawFn) -> tuple[pa.Array, str]:
    """Draw a column of some type, with a reader for the texts of its cells."""
    kind = draw(st.sampled_from(["text", "bytes", "whole", "real", "decimal", "boolean", "day", "moment"]))
    type_, cells = {
        "text": (st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]), st.text(max_size=8)),
        "bytes": (st.sampled_from([pa.binary(), pa.large_binary()]), st.binary(max_size=6)),
        "whole": (st.just(pa.int64()), st.integers(-(2**63), 2**63 - 1)),
        "real": (st.just(pa.float64()), st.floats(-(2.0**53) + 1, 2.0**53 - 1)),
        "decimal": (
            st.sampled_from([pa.decimal128(38, 9), pa.decimal256(50, 9)]),
            st.decimals(-(10**20), 10**20, places=9),
        ),
        "boolean": (st.just(pa.bool_()), st.booleans()),
        "day": (st.just(pa.date32()), st.dates()),
        "moment": (
            st.builds(
                pa.timestamp, st.sampled_from(list(PER_SECOND)), st.sampled_from([None, "UTC", "+02:00"])
            ),
            st.integers(-(10**8), 10**9),
        ),
    }[kind]
    chosen = draw(type_)
    values = draw(st.lists(st.none() | cells, min_size=1, max_size=12))
    if kind == "moment":
        fraction = draw(st.integers(0, PER_SECOND[chosen.unit] - 1))
        values = [None if v is None else v * PER_SECOND[chosen.unit] + fraction for v in values]
        return pa.array(values, pa.int64()).cast(chosen), kind
    array = pa.array(values, chosen)
    encoded = chosen == pa.string() and draw(st.booleans())
    return array.dictionary_encode() if encoded else array, kind


@given(columns(), st.sampled_from(["none", "zstd", "snappy"]), st.booleans(), st.integers(1, 5))
def test_any_value_of_parquet(
    column: tuple[pa.Array, str], compression: str, dictionary: bool, rows_of_a_group: int
) -> None:
    array, kind = column
    out = io.BytesIO()
    table = pa.table({"email": ["a@b.co"] * len(array), "city": array})
    parquet.write_table(
        table, out, compression=compression, use_dictionary=dictionary, row_group_size=rows_of_a_group
    )
    result = read(out.getvalue(), "upload.parquet")
    stored = parquet.read_table(io.BytesIO(out.getvalue()))["city"].combine_chunks()
    if kind in ("text", "bytes"):
        cells = stored.to_pylist()
        texts = [
            cell.decode("utf-8", "surrogateescape") if isinstance(cell, bytes) else cell for cell in cells
        ]
        assert_told(result.column("city"), result.places, texts)
        return
    assert result.failures == []
    found = [None if text is None else value(text, kind) for text in result.column("city")]
    assert list(map(type, found)) == list(map(type, plain(stored, kind)))
    assert found == plain(stored, kind)
    assert kind not in ("real", "decimal") or not any(
        "e" in (text or "").lower() for text in result.column("city")
    )


def value(text: str, kind: str) -> object:
    """Return the value that a reader of the text sees."""
    match kind:
        case "whole":
            return int(text)
        case "real":
            return float(text)
        case "decimal":
            return Decimal(text)
        case "boolean":
            return {"true": True, "false": False}[text]
        case "day":
            return dt.date.fromisoformat(text)
        case _:
            whole, fraction = text.removesuffix("Z").split(".")
            seconds = (dt.datetime.fromisoformat(f"{whole}+00:00") - EPOCH) // dt.timedelta(seconds=1)
            return seconds * 10**9 + int(fraction.ljust(9, "0"))


def plain(stored: pa.Array, kind: str) -> list[object]:
    """Return the value of an Arrow scalar; a moment in nanoseconds."""
    if kind != "moment":
        return stored.to_pylist()
    scale = 10**9 // PER_SECOND[stored.type.unit]
    return [None if count is None else count * scale for count in stored.cast(pa.int64()).to_pylist()]


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(10**14), 10**14),
            st.floats(-1e15, 1e15, exclude_min=True, exclude_max=True),
            st.dates(dt.date(1900, 3, 1), dt.date(9999, 12, 31)),
            printable,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_value_of_a_sheet(values: list[Any]) -> None:
    rows = [["email", "city"], *(["a@b.co", cell] for cell in values)]
    result = read(workbook(rows), "upload.xlsx")
    assert result.failures == []
    for cell, text in zip(values, result.column("city"), strict=True):
        match cell:
            case None:
                assert text is None
            case bool():
                assert text == str(cell).lower()
            case int() | float():
                assert text is not None
                assert float(text) == cell
                assert "." not in text or not float(cell).is_integer()
                assert "e" not in text
            case dt.date():
                assert text == cell.isoformat()
            case _:
                assert text == (cell.strip(BLANKS) or None)
