"""The name of a file implies its format, and a file never has another format."""

import re

import pytest

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.stages.export.formats import Compression, Format, compressions, extension, of_file
from bulk_pipeline.stages.file_formats import by_name

GZIP, ZSTD, NONE = Compression.GZIP, Compression.ZSTD, Compression.NONE


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("x.csv", Format.CSV, NONE),
        ("x.CSV.GZ", Format.CSV, GZIP),
        ("x.tsv", Format.TSV, NONE),
        ("x.tab.zst", Format.TSV, ZSTD),
        ("x.ndjson", Format.NDJSON, NONE),
        ("x.jsonl.gz", Format.NDJSON, GZIP),
        ("x.json", Format.JSON, NONE),
        ("x.json.zst", Format.JSON, ZSTD),
        ("x.parquet", Format.PARQUET, NONE),
        ("x.pq", Format.PARQUET, NONE),
        ("x.xlsx", Format.XLSX, NONE),
        ("2026.11/x.y.csv", Format.CSV, NONE),
        ("", Format.CSV, NONE),
        ("users", Format.CSV, NONE),
        (".users", Format.CSV, NONE),
        ("2026.11/users", Format.CSV, NONE),
        ("users.gz", Format.CSV, GZIP),
    ],
)
def test_a_name_says_its_format(name: str, format_: Format, compression: Compression) -> None:
    assert of_file(name) == (format_, compression)


@pytest.mark.parametrize(
    ("format_", "compression"),
    [(format_, compression) for format_ in Format for compression in compressions(format_)],
)
def test_an_import_reads_every_ending_as_the_written_format(
    format_: Format, compression: Compression
) -> None:
    name = f"x{extension(format_, compression)}"
    assert by_name(name)[1] == ("csv" if format_ is Format.TSV else format_)
    assert of_file(name)[0] is format_


@pytest.mark.parametrize(
    ("name", "format_", "compression", "chosen"),
    [
        ("x.txt", Format.CSV, None, (Format.CSV, NONE)),
        ("x.2026-11-28", Format.JSON, GZIP, (Format.JSON, GZIP)),
        ("x", Format.NDJSON, ZSTD, (Format.NDJSON, ZSTD)),
        ("x.gz", Format.TSV, None, (Format.TSV, GZIP)),
        ("x.jsonl", Format.NDJSON, None, (Format.NDJSON, NONE)),
        ("x.csv.gz", Format.CSV, GZIP, (Format.CSV, GZIP)),
        ("x.parquet", None, ZSTD, (Format.PARQUET, ZSTD)),
    ],
)
def test_the_requested_format_is_written_unless_the_name_implies_another(
    name: str, format_: Format | None, compression: Compression | None, chosen: tuple[Format, Compression]
) -> None:
    assert of_file(name, format_, compression) == chosen


POSSIBLE = "use .csv, .tsv, .ndjson, .json, .parquet or .xlsx"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.XLS", f"cannot write .xls: {POSSIBLE}"),
        ("x.ods", "cannot write .ods: "),
        ("x.csv.zip", f"cannot write .zip: {POSSIBLE}; .gz or .zst after it compresses the file"),
        ("x.csv.bz2", "cannot write .bz2: "),
        ("x.csv.Z", "cannot write .z: "),
        ("x.tar.gz", "cannot write .tar: "),
        ("x.xlsx.gz", "'x.xlsx.gz': .xlsx is compressed inside its file: call it x.xlsx"),
        ("x.psv", "cannot write .psv: "),
        ("x.avro", "cannot write .avro: "),
        ("x.txt", f"the extension .txt of 'x.txt' belongs to no format: {POSSIBLE}; or say --format"),
        ("x.2026-11-28", "the extension .2026-11-28 of 'x.2026-11-28' belongs to no format: "),
        ("x.parquet.gz", "Parquet is compressed inside its file: call it x.parquet, with --compression gzip"),
    ],
)
def test_a_name_of_a_format_that_cannot_be_written_is_refused_with_those_that_can(
    name: str, message: str
) -> None:
    with pytest.raises(SelectionError, match=re.escape(message)):
        of_file(name)


@pytest.mark.parametrize(
    ("name", "format_", "compression", "message"),
    [
        ("x.csv", Format.JSON, None, "'x.csv' implies csv, but json was requested"),
        ("x.json", Format.NDJSON, None, "'x.json' implies json, but ndjson was requested"),
        ("x.xlsx", Format.CSV, None, "'x.xlsx' implies xlsx, but csv was requested"),
        ("x.csv.zip", Format.CSV, None, "cannot write .zip"),
        ("x.gz", Format.PARQUET, None, "Parquet is compressed inside its file"),
        ("x.csv", None, GZIP, "'x.csv' implies a file that is not compressed, but compression gzip was requested"),
        ("x.csv.gz", None, ZSTD, "'x.csv.gz' implies gzip, but compression zstd was requested"),
        ("x.csv.gz", None, NONE, "'x.csv.gz' implies gzip, but compression none was requested"),
    ],
)  # fmt: skip
def test_a_name_that_implies_another_format_than_requested_is_refused(
    name: str, format_: Format | None, compression: Compression | None, message: str
) -> None:
    with pytest.raises(SelectionError, match=re.escape(message)):
        of_file(name, format_, compression)
