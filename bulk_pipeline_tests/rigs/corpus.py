"""Samples of every kind of file: files that can be read, damaged files, and files that are no table."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

from bulk_pipeline_tests.integration.test_bad_input import CHARACTERS, HEADERS, PACKED
from bulk_pipeline_tests.integration.test_bad_json import FILES
from bulk_pipeline_tests.rigs.damage import ANN, HEADER
from bulk_pipeline_tests.rigs.packing import PACK
from bulk_pipeline_tests.unit.stages.parse.archives import marked, tarred, zipped
from bulk_pipeline_tests.unit.stages.parse.test_archives import TARS
from bulk_pipeline_tests.unit.stages.parse.test_foreign_files import BINARY, TEXTS
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook
from bulk_pipeline_tests.unit.stages.test_junk_files import JUNK

TEXT = HEADER + ANN
OBJECT = '{"email":"ann@x.co","city":"Rome"}'
ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "cp1252",
    "cp037",
    "utf-7",
)


@dataclass(frozen=True)
class Sample:
    """A file of customers, and its declared format."""

    what: str
    name: str
    content: bytes
    encoding: str = ""
    records: str = ""
    format: tuple[tuple[str, str], ...] = ()
    """Further declarations, by name."""


def samples() -> Iterator[Sample]:
    """Return all samples except large ones."""
    for damage in (*HEADERS, *CHARACTERS, *PACKED, *FILES):
        if "bomb" not in damage.what:
            yield Sample(damage.what, damage.file, damage.pack(damage.text), damage.encoding)
    for what, (content, _) in BINARY.items():
        yield Sample(what, "upload.csv", content)
    for what in ("an encrypted workbook", "a pickle", "a .dbf"):
        yield Sample(f"{what}, packed", "upload.csv.gz", gzip.compress(BINARY[what][0]))
    for what, (text, _) in TEXTS.items():
        yield Sample(what, "upload.xls", text.encode())
        yield Sample(f"{what}, in UTF-16", "upload.xls", text.encode("utf-16"))
    for what, content in TARS.items():
        yield Sample(f"a tar, {what}", "upload.tar", content)
    yield from _archives()
    yield from _texts()
    yield from _declared()
    for key in JUNK:
        if "/" not in key:
            yield Sample(f"junk, {key}", key, TEXT)


def _declared() -> Iterator[Sample]:
    named = (("delimiter", "!"), ("quote", "none"), ("header_row", "3"))
    yield Sample(
        "titles above a declared header",
        "upload.csv",
        b'email,city\nno@x.co,Bern\nemail!city\nann@x.co!"Rome\n',
        format=named,
    )
    yield Sample("a file without the declared delimiter", "upload.csv", TEXT, format=named[:1])
    yield Sample("a file without the declared header", "upload.csv", TEXT, format=(("header_row", "99"),))
    yield Sample(
        "a tab is declared, and the file has commas", "upload.csv", TEXT, format=(("delimiter", "tab"),)
    )
    book = workbook([("no@x.co", "Bern"), ("email", "city"), ("ann@x.co", "Rome")])
    yield Sample(
        "titles above a declared header of a sheet", "upload.xlsx", book, format=(("header_row", "2"),)
    )


def _archives() -> Iterator[Sample]:
    two = {"a.csv": TEXT, "b.csv": TEXT}
    for what, content in {
        "two files in a tar": tarred(two),
        "a tar in a zip": zipped({"a.tar": tarred({"a.csv": TEXT})}),
        "a zip in a zip": zipped({"a.zip": zipped({"a.csv": TEXT})}),
        "a zip with a password": marked(zipped({"a.csv": TEXT}), flags=1),
        "a zip with Deflate64": marked(zipped({"a.csv": TEXT}), method=9),
        "an .ods": zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}),
        "an .xlsb": zipped({"xl/workbook.bin": b"x"}),
        "a .numbers": zipped({"Index/Document.iwa": b"x"}),
        "a .docx in a tar": tarred({"a.docx": zipped({"word/document.xml": b"x"})}),
        "a workbook": workbook([("email", "city"), ("ann@x.co", "Rome")]),
    }.items():
        yield Sample(what, "upload", content)
    for suffix, pack in PACK.items():
        yield Sample(f"packed as {suffix}", f"upload.csv{suffix}", pack(TEXT))
        yield Sample(f"two files in a tar in {suffix}", f"upload.tar{suffix}", pack(tarred(two)))


def _texts() -> Iterator[Sample]:
    rows = {"data": [{"email": "ann@x.co"}], "included": [{"email": "no@x.co"}]}
    shapes = {
        "an object": OBJECT,
        "objects side by side": OBJECT * 3,
        "objects over lines": json.dumps(json.loads(OBJECT), indent=2) * 2,
        "objects and commas": f"{OBJECT},\n{OBJECT},\n",
        "objects and CR": f"{OBJECT}\r{OBJECT}\r",
        "an array": f"[{OBJECT}]",
        "a wrapper": json.dumps(rows),
        "columns": '{"email":["ann@x.co"],"city":["Rome"]}',
        "arrays": '[["email"],["ann@x.co"]]',
    }
    for encoding in ENCODINGS:
        yield Sample(f"CSV in {encoding}", "upload.csv", TEXT.decode().encode(encoding))
        yield Sample(f"CSV in {encoding}, declared", "upload.csv", TEXT.decode().encode(encoding), encoding)
        yield Sample(f"JSON in {encoding}", "upload.json", OBJECT.encode(encoding))
    for what, text in shapes.items():
        yield Sample(what, "upload.json", text.encode())
        yield Sample(f"{what}, with records declared", "upload.json", text.encode(), records="data")
