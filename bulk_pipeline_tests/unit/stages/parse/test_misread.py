"""Text that was decoded wrongly before it was saved is counted, and stays unchanged."""

import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

CITY = "JÃ¼rgen"
WARNING = "1 cell looks as if UTF-8 had been read as cp1252 before: 'JÃ¼rgen' (row 2) for 'Jürgen'"


def _parquet(cities: list[str]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table({"email": ["a@b.co"] * len(cities), "city": cities}), out)
    return out.getvalue()


FILES = {
    "upload.csv": lambda cities: ("email,city\n" + "".join(f"a@b.co,{c}\n" for c in cities)).encode(),
    "upload.ndjson": lambda cities: "".join(
        json.dumps({"email": "a@b.co", "city": c}, ensure_ascii=False) + "\n" for c in cities
    ).encode(),
    "upload.json": lambda cities: json.dumps([{"email": "a@b.co", "city": c} for c in cities]).encode(),
    "upload.parquet": _parquet,
    "upload.xlsx": lambda cities: workbook([["email", "city"], *(["a@b.co", c] for c in cities)]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_cell_that_was_read_wrongly_before_is_a_warning_with_an_example(name: str) -> None:
    result = read(FILES[name](["Köln", CITY]), name)
    assert (result.column("city"), result.warnings) == (["Köln", CITY], [WARNING])


@pytest.mark.parametrize("city", ["Jürgen", "5 €", "’tis", "Łódź", "Αθήνα", "Москва", "東京", "🎉", "ß"])
def test_every_script_is_recognised(city: str) -> None:
    before = "".join(bytes([b]).decode("cp1252", "replace").replace("\ufffd", chr(b)) for b in city.encode())
    result = read(FILES["upload.csv"]([before, before]))
    assert result.column("city") == [before, before]
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("2 cells look as if UTF-8")
    assert result.warnings[0].endswith(f"for '{city}'")


@pytest.mark.parametrize(
    "city",
    ["Jürgen", "süß", "créée", "CAFÉ™", "«café…»", "MANHÃ", "Âge", "¿Ñandú?", "Ærø", "東京", "×½", "10 €"],
)
def test_right_text_is_no_warning(city: str) -> None:
    result = read(FILES["upload.csv"]([city]))
    assert (result.column("city"), result.warnings) == ([city], [])
